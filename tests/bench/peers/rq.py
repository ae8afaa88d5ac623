"""rq with redis: two workers that run jobs in themselves, without results."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="rq",
    environment=PythonEnvironment("rq", ("rq==2.12.0", "redis==8.1.0")),
    folder="rq",
    workers=(("python", "work.py"), ("python", "work.py")),
    bulk=2_000,
    single=500,
    needs_redis=True,
)
