"""huey with redis: two processes, no results, no periodic tasks."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="huey",
    environment=PythonEnvironment("huey", ("huey==3.5.4", "redis==8.1.0")),
    folder="huey",
    workers=(("huey_consumer", "app.huey", "--workers", "2", "--worker-type", "process", "--no-periodic", "--quiet"),),
    bulk=15_000,
    needs_redis=True,
)
