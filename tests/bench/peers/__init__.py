"""The peers: what each needs, how it is started, and one measurement that is the same for all."""

from collections.abc import Iterable

from tests.bench.peers import (
    celery,
    chancy,
    django_ox,
    django_tasks_db,
    dramatiq,
    graphile,
    huey,
    oban,
    ours,
    pgqueuer,
    procrastinate,
    rq,
)
from tests.bench.peers.measuring import PeerSection
from tests.bench.peers.peer import Peer

PEERS: tuple[Peer, ...] = (
    ours.PEER,
    graphile.LOCAL_QUEUE,
    graphile.DEFAULT,
    pgqueuer.PEER,
    celery.PREFORK,
    celery.SOLO,
    django_tasks_db.PEER,
    django_ox.PEER,
    procrastinate.PEER,
    chancy.PEER,
    oban.PEER,
    huey.PEER,
    dramatiq.PEER,
    rq.PEER,
)


def peer_sections() -> Iterable[PeerSection]:
    """Return a section for each peer."""
    return [PeerSection(peer) for peer in PEERS]
