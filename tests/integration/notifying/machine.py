"""Random histories of events, wishes, clocks and owners: after each step everything is where the model says."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pgsupervise.django_app.testing import advance, freeze
from pgsupervise.partitions.marks import Marks
from tests.integration.ownership.lease_machine import EMPTY, among

from .drawing import (
    BUCKETS,
    RECIPIENTS,
    SUDDEN,
    WINDOWS,
    Fate,
    anyone,
    beginnings,
    buckets,
    first_wishes,
    has_any,
    mostly_unsettled,
    quarters,
    stories,
    troubles,
)
from .fragile import Trouble
from .history import UNSETTLED, Fields, History
from .judge import Judge, conserved
from .kinds import BOTH, CATEGORY, POLICIES
from .model import MINUTE, Told, Where
from .owners import Owner, Owners

# The evening before Rome's clocks are put forward.
BEGIN = datetime(2026, 3, 28, 18, tzinfo=UTC)
FAR = timedelta(days=30)

EMPTIER = """
DELETE FROM pgsupervise_inboxmessage; DELETE FROM pgsupervise_recipient; DELETE FROM pgsupervise_preference;
DELETE FROM pgsupervise_tenantpreference; DELETE FROM auth_group;
"""


class NotificationMachine(RuleBasedStateMachine):
    """Projects tell, recipients wish and read, and the owners' own code runs, and stops anywhere."""

    def __init__(self, connection: psycopg.Connection, dsn: str) -> None:
        super().__init__()
        connection.execute(EMPTY)
        connection.execute(EMPTIER)
        freeze(BEGIN, although_workers_live=True)
        self.chosen: list[str] = POLICIES
        self.history = History(BEGIN)
        self.owners = Owners(dsn, connection, BUCKETS)
        self.judge = Judge(connection, self.history)
        self.goes_on = True

    def unsettled(self) -> list[Told]:
        """Return the events that may be in some digest yet."""
        return [event for event in self.history.told if event.where in UNSETTLED]

    @initialize(
        names=st.lists(st.sampled_from(POLICIES), min_size=1, max_size=2, unique=True),
        wishes=first_wishes,
        story=beginnings,
    )
    def begins(self, names: list[str], wishes: list[Any], story: list[tuple[int, dict[str, Any], timedelta]]) -> None:
        """Few policies in one history: else each key gets too few events for anything to happen to them."""
        self.chosen = names
        for level, recipient, tenant, window, muted in wishes:
            who = {"policy": names[0], "recipient": recipient, "tenant": tenant}
            self.wishes_for_a_window(who, level, not recipient, window)
            self._wishes(who, level, not recipient, {"muted": muted})
        self.hours_pass([({"policy": names[number % len(names)], **who}, later) for number, who, later in story])

    @rule(who=stories, later=quarters)
    def tells(self, who: Fields, later: timedelta) -> None:
        """In time: before the clock has passed it, and before a later event of the bucket was folded."""
        self.history.tell(who, self.history.in_time(who) + later)

    @rule(who=stories, later=quarters)
    def tells_once(self, who: Fields, later: timedelta) -> None:
        told = self.history.tell(who, self.history.in_time(who) + later, again=f"key {len(self.history.told)}")
        self.history.tell_again(told)

    @rule(who=stories, count=st.integers(2, 5), apart=st.integers(0, 3).map(lambda number: number * 15 * MINUTE))
    def tells_several(self, who: Fields, count: int, apart: timedelta) -> None:
        first = self.history.in_time(who)
        self.history.tell_many([(who, first + number * apart) for number in reversed(range(count))])

    @rule(told=st.lists(st.tuples(stories, quarters), min_size=4, max_size=12))
    def hours_pass(self, told: Sequence[tuple[Fields, timedelta]]) -> None:
        """A lot is told in any order, the clock passes some of it, and the owners do their work."""
        self.history.tell_many([(who, self.history.in_time(who) + later) for who, later in told])
        self.clock_moves(60 * MINUTE)
        self.all_is_done()

    @rule(who=stories, earlier=st.integers(1, 12))
    def tells_late(self, who: Fields, earlier: int) -> None:
        late = self.history.tell(who, self.history.now - earlier * 15 * MINUTE)
        self.history.tainted.add(late.key)

    @has_any
    @rule(who=stories, event=st.none() | anyone)
    def rolls_back(self, who: Fields, event: Told | None) -> None:
        self.history.tell_in_vain(who, event)

    @has_any
    @rule(event=mostly_unsettled | anyone)
    def retracts(self, event: Told) -> None:
        self.history.retract(event)

    @precondition(lambda machine: machine.history.groups)
    @rule(number=among(lambda machine: sorted(machine.history.groups)))
    def deletes(self, number: int) -> None:
        self.history.delete(number)

    @has_any
    @rule(events=st.lists(anyone, min_size=1, max_size=3, unique_by=id), is_all=st.booleans())
    def reads(self, events: list[Told], is_all: bool) -> None:
        recipient = events[0].key[1]
        mine = [event for event in events if event.key[1] == recipient]
        self.history.read(recipient, None if is_all else mine)

    @rule(who=stories, is_any_tenant=st.booleans())
    def flushes(self, who: Fields, is_any_tenant: bool) -> None:
        self.history.flush(who["policy"], who["recipient"], None if is_any_tenant else who["tenant"])

    @rule(
        who=stories,
        level=st.sampled_from(["policy", "category", ""]),
        is_tenants=st.booleans(),
        muted=st.sampled_from([True, False, None]),
        channels=st.sampled_from([None, None, [], ["inbox"], ["null"], list(BOTH)]),
    )
    def mutes(self, who: Fields, level: str, is_tenants: bool, **wish: Any) -> None:
        if level == "policy" and who["policy"] not in ("likes", "notes"):
            self._wishes(who, level, is_tenants, wish)
        else:
            self._wishes(who, level, is_tenants, {"muted": wish["muted"]})

    @rule(
        who=stories,
        level=st.sampled_from(["policy", "category", ""]),
        is_tenants=st.booleans(),
        window=st.sampled_from(WINDOWS),
    )
    def wishes_for_a_window(self, who: Fields, level: str, is_tenants: bool, window: Any) -> None:
        """What was told is folded before: a window is wished for the events that come."""
        self.all_is_done()
        if who["policy"] in ("likes", "notes"):
            level = "category"
        stored = {"every": 1200} if isinstance(window, timedelta) else window
        stored = {"cron": window} if isinstance(window, str) else stored
        self._wishes(who, level, is_tenants, {"window": window}, {"window": stored})

    def _wishes(self, who: Fields, level: str, is_tenants: bool, wish: Any, stored: Any = None) -> None:
        policy = who["policy"] if level == "policy" else ""
        category = CATEGORY.get(who["policy"], "") if level == "category" else ""
        recipient, tenant = ("", "acme") if is_tenants else (who["recipient"], who["tenant"])
        self.history.book.wish(recipient, tenant, policy, category, wish, stored or wish)

    @rule(
        recipient=st.sampled_from(RECIPIENTS),
        zone=st.sampled_from(["", "America/New_York", "Asia/Tokyo"]),
        every=st.sampled_from(["PT20M", 600, "often", None]),
        is_quiet=st.booleans(),
    )
    def moves(self, recipient: str, zone: str, every: Any, is_quiet: bool) -> None:
        self.all_is_done()
        quiet = (time(22), time(6)) if is_quiet else (None, None)
        self.history.book.introduce(
            recipient, time_zone=zone, properties={"every": every}, quiet_from=quiet[0], quiet_until=quiet[1]
        )

    @rule(later=quarters)
    def clock_moves(self, later: timedelta) -> None:
        self.history.now = advance(later)

    @rule(bucket=buckets, is_another=st.booleans())
    def takes_over(self, bucket: int, is_another: bool) -> None:
        self.owners.take_over(bucket, is_another=is_another)

    @rule(bucket=buckets, forgets=st.booleans(), befalls=troubles)
    def has_trouble(self, bucket: int, forgets: bool, befalls: list[tuple[Fate, int, int, Fields]]) -> None:
        """The owner does its work, and this and that happens meanwhile."""
        owner = self.owners.now[bucket]
        if forgets:
            owner.marks = Marks()
        self.goes_on = True
        self.owners.flush(
            owner,
            [
                Trouble(transaction, statement if fate in SUDDEN else 0, self._fate(fate, owner, who))
                for fate, transaction, statement, who in befalls
            ],
            may_go_on=lambda: self.goes_on,
        )

    def _fate(self, fate: Fate, owner: Owner, who: Fields) -> Callable[[], None]:
        def befalls() -> None:
            self.judge.look()
            happens[fate]()

        happens: dict[Fate, Callable[[], None]] = {
            Fate.SESSION_ENDS: lambda: self.owners.end_session(owner, is_killed=False),
            Fate.IS_KILLED: lambda: self.owners.end_session(owner, is_killed=True),
            Fate.IS_STOPPED: lambda: self._another_serves(owner.bucket),
            Fate.CLOCK_MOVES: lambda: self.clock_moves(60 * MINUTE),
            Fate.IS_TOLD: lambda: self.tells(who, 0 * MINUTE),
            Fate.IS_TAKEN_BACK: self._takes_one_back,
            Fate.HAS_TO_STOP: self._has_to_stop,
        }
        return befalls

    def _another_serves(self, bucket: int) -> None:
        self.owners.flush(self.owners.take_over(bucket), depth=1)

    def _takes_one_back(self) -> None:
        for event in self.unsettled()[:1]:
            self.history.retract(event)

    def _has_to_stop(self) -> None:
        self.goes_on = False

    @rule()
    def all_is_done(self) -> None:
        """The owners look from the start, as they do every second, and nobody hinders them: nothing is left to do."""
        for owner in list(self.owners.now.values()):
            owner.marks = Marks()
            self.owners.flush(owner)
        self.judge.look()
        assert not [event for event in self.history.told if event.where is Where.PENDING]
        self.judge.nothing_is_due()

    @rule(bucket=buckets, is_lost=st.booleans())
    def sends(self, bucket: int, is_lost: bool) -> None:
        """What is no longer wished, or has been read, is skipped; a sender may die with messages in its hands."""
        owner = self.owners.now[bucket]
        claimed = self.owners.claim(owner)
        if is_lost:
            self.owners.take_over(bucket)
            assert self.owners.send(owner, claimed) == []
            self.judge.lost(claimed)
        else:
            self.judge.sent(claimed, self.owners.send(owner, claimed))

    @invariant()
    def everything_is_where_the_model_says(self) -> None:
        self.judge.look()
        conserved()

    def teardown(self) -> None:
        """In the end everything is sent: each event in one digest, and in that where it belongs by its time."""
        try:
            self.clock_moves(FAR)
            self.all_is_done()
            conserved()
            assert not self.unsettled()
            for _ in range(3):
                self.clock_moves(timedelta(hours=9))  # no quiet hours are so long
                for bucket in BUCKETS:
                    self.sends(bucket, False)
            self.judge.everything_arrived()
        finally:
            self.owners.close()
