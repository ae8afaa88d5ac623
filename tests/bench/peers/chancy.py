"""chancy: asynchronous jobs, 500 at a time a process."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="chancy",
    environment=PythonEnvironment("chancy", ("chancy==0.26.0", "psycopg[binary]==3.3.9")),
    folder="chancy",
    workers=(("python", "work.py"), ("python", "work.py")),
    bulk=20_000,
)
