"""graphile-worker: with its local queue and completion in batches, and as it comes.

The local queue takes 500 jobs at once and runs 24 of them side by side, the best of what was tried.
"""

from tests.bench.peers.node_environment import NodeEnvironment
from tests.bench.peers.peer import Peer

_ENVIRONMENT = NodeEnvironment("graphile", "graphile-worker", "0.18.0")
_TWO = (("node", "work.js"), ("node", "work.js"))
_PRODUCER = ("node", "produce.js")

LOCAL_QUEUE = Peer(
    name="graphile-local",
    environment=_ENVIRONMENT,
    folder="graphile",
    workers=_TWO,
    producer=_PRODUCER,
    settings={"BENCH_LOCAL_QUEUE": "500"},
)
DEFAULT = Peer(
    name="graphile-default",
    environment=_ENVIRONMENT,
    folder="graphile",
    workers=_TWO,
    producer=_PRODUCER,
    bulk=10_000,
)
