"""Which messages go by one call."""

from collections.abc import Callable, Sequence

from pgsupervise.partitions.rows import ClaimedDelivery


def whom(delivery: ClaimedDelivery) -> tuple[str, str]:
    """Return whose digests are to arrive in order: those of a recipient by a channel."""
    return delivery.recipient, delivery.channel


def next_group(
    waiting: Sequence[ClaimedDelivery], together: Callable[[ClaimedDelivery], int]
) -> tuple[Sequence[ClaimedDelivery], Sequence[ClaimedDelivery]]:
    """Return what goes by the next call, and the rest: the first one, and what its channel takes together with it.

    No two of one recipient are in a group, since nobody says in which order a call's messages go out.
    """
    most = together(waiting[0])
    if most == 1:
        return waiting[:1], waiting[1:]
    group: dict[tuple[str, str], ClaimedDelivery] = {}
    rest = []
    for delivery in waiting:
        if delivery.channel == waiting[0].channel and len(group) < most and whom(delivery) not in group:
            group[whom(delivery)] = delivery
        else:
            rest.append(delivery)
    return list(group.values()), rest
