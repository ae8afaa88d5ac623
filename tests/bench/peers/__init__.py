"""The peers: what each needs, how it is started, and one measurement that is the same for all."""

from collections.abc import Iterable

from tests.bench.peers import graphile, ours
from tests.bench.peers.measuring import PeerSection
from tests.bench.peers.peer import Peer

PEERS: tuple[Peer, ...] = (ours.PEER, graphile.LOCAL_QUEUE, graphile.DEFAULT)


def peer_sections() -> Iterable[PeerSection]:
    """Return a section for each peer."""
    return [PeerSection(peer) for peer in PEERS]
