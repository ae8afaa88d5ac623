"""dramatiq with redis: two processes that each take a thousand messages at once."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

PEER = Peer(
    name="dramatiq",
    environment=PythonEnvironment("dramatiq", ("dramatiq==2.2.1", "redis==8.1.0")),
    folder="dramatiq",
    workers=(("dramatiq", "app", "--processes", "2", "--threads", "8"),),
    bulk=20_000,
    needs_redis=True,
    settings={"dramatiq_queue_prefetch": "1000"},
)
