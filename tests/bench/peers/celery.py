"""celery with redis: its default pool of two processes, and two processes without a pool."""

from tests.bench.peers.peer import Peer
from tests.bench.peers.python_environment import PythonEnvironment

_ENVIRONMENT = PythonEnvironment("celery", ("celery==5.7.0", "redis==8.1.0", "packaging==26.3"))
_WORKER = ("celery", "-A", "app", "worker", "--loglevel=error", "--without-gossip", "--without-mingle")

PREFORK = Peer(
    name="celery-prefork",
    environment=_ENVIRONMENT,
    folder="celery",
    workers=((*_WORKER, "--pool=prefork", "--concurrency=2"),),
    bulk=4_000,
    needs_redis=True,
)
SOLO = Peer(
    name="celery-solo",
    environment=_ENVIRONMENT,
    folder="celery",
    workers=tuple((*_WORKER, "--pool=solo", f"--hostname={name}@%h") for name in ("one", "two")),
    bulk=8_000,
    needs_redis=True,
)
