"""oban for Python: 500 jobs at a time a process, uvloop."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="oban",
    environment=PythonEnvironment("oban", ("oban==0.7.0", "psycopg[binary]==3.3.9", "uvloop==0.23.0"), python=(3, 12)),
    folder="oban",
    workers=(("python", "work.py"), ("python", "work.py")),
    bulk=20_000,
)
