"""pgqueuer: asyncpg, uvloop, a thousand jobs at once."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="pgqueuer",
    environment=PythonEnvironment("pgqueuer", ("pgqueuer==1.6.0", "asyncpg==0.32.0", "uvloop==0.23.0")),
    folder="pgqueuer",
    workers=(("python", "work.py"), ("python", "work.py")),
)
