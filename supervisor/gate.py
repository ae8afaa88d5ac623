"""What is asked before a message is claimed, and again before it is begun: is its channel open, and is it our turn?"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple
from uuid import UUID

from pgsupervise.partitions.connection import Connection
from pgsupervise.partitions.rows import ClaimedDelivery

from .budget import Budget
from .channel_board import ChannelBoard, Stand
from .limits import UNLIMITED
from .link import Link
from .outcomes import SendOutcome
from .ownership import Ownership
from .pauses import Pauses
from .project import Project

PATIENCE_SECONDS = 1.0
"""A thread waits so long for its turn, in which others' parts may change; then it gives the message back."""
SLICE_SECONDS = 0.05
SHORTEST_REST_SECONDS = 0.02


class Offer(NamedTuple):
    """The channels by which messages may be claimed now: without a limit, or up to so many."""

    free: list[str]
    counted: Mapping[str, int]


class Gate:
    """A worker's pauses and budgets, for all of its threads."""

    def __init__(self, channels: Collection[str], pauses: Pauses, budgets: Mapping[str, Budget]) -> None:
        self._channels = channels
        self._pauses = pauses
        self._budgets = budgets
        self._wanting: set[str] = set()

    def open_channels(self) -> list[str]:
        """Return the channels by which something may be claimed now."""
        return [name for name in self._channels if self._allowance(name) != 0]

    def offer(self, connection: Connection) -> Offer:
        """Return what may be claimed now; on trial one message, where no other worker has the right to try."""
        free: list[str] = []
        counted: dict[str, int] = {}
        for name in self._channels:
            amount = self._allowance(name)
            if amount and self._pauses.stand(name) == Stand.TRIAL:
                amount = 1 if self._pauses.take_trial(connection, name) else 0
            if amount is None:
                free.append(name)
            elif amount:
                counted[name] = amount
        return Offer(free, counted)

    def took(self, link: Link, offer: Offer, claimed: Mapping[str, int]) -> None:
        """Take note of how many were claimed by each channel of an offer."""
        self._pauses.drop_trials(link, claimed)
        for name, amount in offer.counted.items():
            if claimed.get(name, 0) >= amount:
                self._wanting.add(name)
            else:
                self._wanting.discard(name)

    def give_back(self, link: Link) -> None:
        """Leave what might be tried to others: this worker claims nothing more."""
        self._pauses.drop_trials(link)

    def is_counted(self, channel: str) -> bool:
        """Return whether a channel that is open has a limit."""
        return channel in self._budgets and self._pauses.stand(channel) == Stand.OPEN

    def rest_until(self, until: float) -> float:
        """Return when to look again (time.monotonic): earlier where a turn comes that somebody waits for."""
        now = time.monotonic()
        waits = [self._budgets[name].seconds_to_next() for name in list(self._wanting) if name in self._budgets]
        return min([until, *(now + max(wait, SHORTEST_REST_SECONDS) for wait in waits)])

    def claimed(self, delivery: ClaimedDelivery) -> None:
        """Take note of a message on its way to a thread; `begin` or `left` follows."""
        if delivery.channel in self._budgets:
            self._budgets[delivery.channel].claimed()

    def left(self, delivery: ClaimedDelivery) -> None:
        """Take note of a claimed message that is not begun."""
        self._pauses.left(delivery.channel, delivery.id)
        if delivery.channel in self._budgets:
            self._budgets[delivery.channel].left()

    def begin(self, delivery: ClaimedDelivery, may_send: Callable[[], bool]) -> bool:
        """Wait for a message's turn and begin it, `ended` follows; False where it is not to be begun now."""
        budget = self._budgets.get(delivery.channel)
        until = time.monotonic() + PATIENCE_SECONDS
        while may_send() and self._pauses.may_begin(delivery.channel, delivery.id):
            wait = budget.begin() if budget else 0.0
            if not wait:
                return True
            if time.monotonic() + wait > until:
                break
            time.sleep(min(wait, SLICE_SECONDS))
        return False

    def begins_again(self, delivery: ClaimedDelivery) -> None:
        """Take note of a message that was begun together with others and is to be begun by itself."""
        self._pauses.left(delivery.channel, delivery.id)
        if delivery.channel in self._budgets:
            self._budgets[delivery.channel].end()
            self._budgets[delivery.channel].claimed()

    def over(self, delivery: ClaimedDelivery) -> None:
        """Take note of a message that was ended by a call of which `ended` has heard for another one."""
        self._pauses.left(delivery.channel, delivery.id)
        if delivery.channel in self._budgets:
            self._budgets[delivery.channel].end()

    def ended(self, delivery: ClaimedDelivery, outcome: SendOutcome) -> bool:
        """Learn from an outcome; return whether a message that was forbidden was so because of its channel."""
        if delivery.channel in self._budgets:
            self._budgets[delivery.channel].end()
        return self._pauses.ended(delivery.channel, delivery.id, outcome)

    def sync(self, link: Link) -> None:
        """Tell the cluster what was found out here, and hear of what others have."""
        self._pauses.sync(link)

    def _allowance(self, channel: str) -> int | None:
        """Return how many may be claimed; None for any number."""
        budget = self._budgets.get(channel)
        match self._pauses.stand(channel):
            case Stand.PAUSED:
                return 0
            case Stand.TRIAL:
                return 1 if budget is None else min(1, budget.allowance())
            case Stand.OPEN:
                return None if budget is None else budget.allowance()


def gate_of(project: Project, whose: str, me: UUID, board: ChannelBoard, ownership: Ownership) -> Gate:
    """Return the gate of a worker: its part of each budget goes with the buckets that it owns."""
    longest = project.longest_send.total_seconds()
    budgets = {
        name: Budget(spec.limit, ownership.settled, longest)
        for name, spec in project.channels.items()
        if spec.limit != UNLIMITED
    }
    return Gate(list(project.channels), Pauses(board, me, whose, longest), budgets)


def lone_gate(project: Project) -> Gate:
    """Return the gate of a process that shares its channels with nobody, and has no limits to keep."""
    pauses = Pauses(ChannelBoard(project.channels), UUID(int=0), "nobody else", project.longest_send.total_seconds())
    return Gate(list(project.channels), pauses, {})
