"""How much is claimed where: the buckets share what the senders can do, and what a channel's limit allows."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from pgsupervise.partitions.deliveries import DeliveryClaim
from pgsupervise.partitions.rows import ClaimedDelivery

from .claim_kinds import SAFE_CHUNK, Which, kinds_of, which_of
from .gate import Gate, Offer
from .mark_book import MarkBook
from .project import Project
from .turns import Turns


class Wanted(NamedTuple):
    """A bucket with deliveries to claim, for channels that may send twice and for the others.

    `ripe`: some that waited may go now, by whichever channel.
    """

    bucket: int
    epoch: int
    safe: bool
    unsafe: bool
    ripe: bool = False


class Planned(NamedTuple):
    """A claim, and how many deliveries may be claimed beside it for tenants whom it leaves out.

    `which`: marks and turns have a field of that name. `moves`: the mark moves on to the last delivery of it.
    """

    claim: DeliveryClaim
    which: Which
    beside: int
    moves: bool = False
    is_counted: bool = False


class Planning:
    """A channel with a limit, or on trial, has claims of its own.

    Beside such a one of the same kind no mark moves: the others' claims would pass what its turn has not come for.
    """

    def __init__(self, project: Project, marks: MarkBook, gate: Gate) -> None:
        self._channels = project.channels
        # So few may have been all of the hour's, with their copies.
        self._frequent_at = -(-project.most_per_hour // project.most_copies)
        self._marks = marks
        self._gate = gate

    def plan(self, wanted: Sequence[Wanted], offer: Offer, budget: Fraction) -> list[Planned]:
        """Return the claims for buckets that come in turn; `budget`, in calls, is for what must not be sent twice."""
        share = math.ceil(budget / max(1, sum(one.unsafe or one.ripe for one in wanted)))
        kinds = kinds_of(self._channels, offer.free, share)
        moves = {kind.which: self._moves(kind.which) for kind in kinds}
        planned = []
        for bucket, epoch, any_safe, any_unsafe, ripe in wanted:
            marks = self._marks.of(bucket, epoch)
            if ripe:
                marks.safe = marks.unsafe = marks.grouped = 0  # those that have waited are below
            for which, channels, most in kinds:
                if ripe or (any_safe if which == "safe" else any_unsafe):
                    front = max(1, most - (marks.turns.taken if which == "unsafe" else 0))
                    after, frequent_at = getattr(marks, which), 0 if which == "safe" else self._frequent_at
                    claim = DeliveryClaim(bucket, epoch, channels, front, after, ripe, frequent_at)
                    planned.append(Planned(claim, which, beside=-(-most // 2), moves=moves[which]))
        for name, amount in offer.counted.items():
            planned += self._counted(wanted, name, amount, budget)
        return planned

    def move_mark(self, plan: Planned, claimed: Sequence[ClaimedDelivery]) -> None:
        """Go on behind what was claimed."""
        if not (plan.moves and claimed):
            return
        setattr(self._marks.of(plan.claim.bucket, plan.claim.epoch), plan.which, claimed[-1].id)

    def beside(self, plan: Planned, claimed: Sequence[ClaimedDelivery], turns: Turns) -> list[DeliveryClaim]:
        """Return what to claim beside a claim that was full."""
        if not plan.beside:
            return []
        served = self._marks.of(plan.claim.bucket, plan.claim.epoch).turns
        claims, last = turns.after(plan.claim, claimed, getattr(served, plan.which), plan.beside)
        setattr(served, plan.which, last)
        if plan.which == "unsafe" and not plan.is_counted:
            served.taken = len(claims)
        return claims

    def _counted(self, wanted: Sequence[Wanted], name: str, amount: int, budget: Fraction) -> list[Planned]:
        spec = self._channels[name]
        is_safe = spec.resend_is_safe
        takers = [one for one in wanted if one.ripe or (one.safe if is_safe else one.unsafe)]
        amount = min(amount, SAFE_CHUNK if is_safe else math.ceil(budget * spec.together))
        frequent_at = 0 if is_safe else self._frequent_at
        planned = []
        for place, one in enumerate(takers):
            # Where there is less than one for each, those that come first have it: the turn begins behind them then.
            if part := amount // len(takers) + (place < amount % len(takers)):
                beside = part // 2
                claim = DeliveryClaim(one.bucket, one.epoch, [name], part - beside, 0, one.ripe, frequent_at)
                planned.append(Planned(claim, which_of(spec), beside, is_counted=True))
        return planned

    def _moves(self, which: Which) -> bool:
        counted = (spec for name, spec in self._channels.items() if self._gate.is_counted(name))
        return which not in map(which_of, counted)
