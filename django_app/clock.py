"""A simulated clock for tests: a week of windows runs in milliseconds.

    with freeze(datetime(2026, 3, 1, 12, tzinfo=UTC)) as clock:
        notify("comments", "ann@example.com")
        clock.advance(timedelta(minutes=5))

The workers fold and seal by the event clock, a row that is NULL in every real deployment: the database's own `now()`
counts. To freeze it is to write that row, in the caller's transaction. It also becomes the time at which what this
process tells occurs; other processes tell by `now()`, unless they freeze it too.
"""

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import TracebackType

from django.conf import settings

from pgsupervise.partitions.statements import load

from .bulk import has_failed, write_connection
from .models import Clock
from .models.notification import EARLIEST, LATEST
from .testing_guard import ClockError, real_database
from .texts import shorten
from .times import check_aware

EVENT_TIME = "coalesce((SELECT simulated_at FROM pgsupervise_clock), now())"
"""The event clock as an expression. By its default, which is what costs nothing, an event occurs at `now()`."""


class _Here:
    """Whether this process has frozen the clock: only then `notify()` asks the row."""

    frozen = False


def is_frozen() -> bool:
    """Return whether this process has frozen the clock and not let it go."""
    return _Here.frozen


def event_time() -> datetime:
    """Return the event clock: what it was frozen at, or the database's `now()`."""
    with write_connection(Clock).cursor() as cursor:
        cursor.execute(f"SELECT {EVENT_TIME}")
        now: datetime = cursor.fetchone()[0]
    return now


class Frozen(AbstractContextManager["Frozen"]):
    """A frozen clock; at the end of a with statement it is again what it was before."""

    def __init__(self, before: datetime | None) -> None:
        self._before = before

    @property
    def now(self) -> datetime:
        """The time at which it stands."""
        return event_time()

    def advance(self, by: timedelta) -> datetime:
        """Move it on and return its new time; see `advance`."""
        return advance(by)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _Here.frozen = self._before is not None
        # A transaction that has failed takes the row back by itself, and would refuse the statement.
        if not has_failed(write_connection(Clock)):
            Clock.objects.update(simulated_at=self._before)


def freeze(at: datetime | None = None, *, although_workers_live: bool = False) -> Frozen:
    """Stop the event clock at a time, or where it stands; call it again for another time, be it an earlier one.

    What is returned may be used in a with statement; otherwise call `unfreeze`. Where DEBUG is off it raises ClockError
    for a database that is no test's, and for one that workers serve, since nothing would become due there any more:
    `although_workers_live` says that this is meant. Raises TypeError or ValueError for a time that no event can have.
    """
    at = event_time() if at is None else at
    check_aware(at, "freeze()'s time", "None for the present one")
    if not EARLIEST <= at <= LATEST:
        raise ValueError(f"freeze()'s time is {at.isoformat()}: it must lie in the years 1900 to 2199")
    if not (settings.DEBUG or although_workers_live):
        _refuse_what_is_real()
    before = Clock.objects.values_list("simulated_at", flat=True).first()
    # A test that has emptied all tables has emptied this one, too.
    Clock.objects.update_or_create(id=1, defaults={"simulated_at": at})
    _Here.frozen = True
    return Frozen(before)


def advance(by: timedelta) -> datetime:
    """Move the frozen clock on and return its new time.

    Raises ClockError where it is not frozen, TypeError or ValueError for what is no time to move on by.
    """
    if not isinstance(by, timedelta):
        raise TypeError(f"advance() is given {shorten(by)} ({type(by).__name__}): it must be a timedelta")
    if by < timedelta(0):
        raise ValueError(f"advance() is given {by}: it only moves on; freeze() again for an earlier time")
    if Clock.objects.filter(simulated_at=None).exists() or not Clock.objects.exists():
        raise ClockError("the clock is not frozen: call freeze() first")
    now = event_time() + by
    if now > LATEST:
        raise ValueError(f"advance() would lead to {now.isoformat()}: events occur before the year 2200")
    Clock.objects.update(simulated_at=now)
    return now


def unfreeze() -> None:
    """Let the event clock be the database's own again."""
    _Here.frozen = False
    Clock.objects.update(simulated_at=None)


def _refuse_what_is_real() -> None:
    if name := real_database():
        raise ClockError(
            f"DEBUG is off and {name!r} is no test database: a frozen clock would hold up all of its digests; point "
            "the tests at a database of their own, or say freeze(..., although_workers_live=True)"
        )
    connection = write_connection(Clock)
    with connection.cursor() as cursor:
        cursor.execute(load("live_workers"))
        living = len(cursor.fetchall())
    if living:
        database = connection.settings_dict["NAME"]
        raise ClockError(
            f"{living} workers serve the database {database!r} and DEBUG is off: a frozen clock would hold up all "
            "of its digests; point the tests at a database of their own, or say freeze(..., although_workers_live=True)"
        )
