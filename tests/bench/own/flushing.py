"""Events through the batches to their digests, with the event clock in our hand: what is folded waits to be sealed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from tests.bench.own import filling
from tests.bench.own.place import Place
from tests.bench.own.tally import TallyError
from tests.bench.own.working import LONG, workers
from tests.waiting import wait_until

_EMPTY = "TRUNCATE pgsupervise_event, pgsupervise_batch, pgsupervise_delivery"
_BACK = "UPDATE pgsupervise_clock SET simulated_at = NULL"
_FORWARD = "UPDATE pgsupervise_clock SET simulated_at = now() + interval '2 days' RETURNING clock_timestamp()"
_PENDING = "SELECT FROM pgsupervise_event WHERE state = 'PENDING' ORDER BY bucket, occurred_at, id LIMIT 1"
_UNSEALED = "SELECT FROM pgsupervise_batch WHERE state <> 'SEALED' ORDER BY bucket, deliver_at LIMIT 1"
_UNSENT = (
    "SELECT FROM pgsupervise_delivery WHERE state IN ('PENDING', 'SENDING', 'RETRYING')"
    " ORDER BY bucket, recipient, id LIMIT 1"
)
_FOLDED = """
SELECT (SELECT count(*) FROM pgsupervise_event WHERE state = 'FOLDED'), count(*), coalesce(sum(item_count), 0)
FROM pgsupervise_batch WHERE state = 'OPEN'
"""
_SENT = """
SELECT count(*) FILTER (WHERE state = 'ACCEPTED' AND attempt <= 1), coalesce(sum((payload ->> 'items')::int), 0),
    extract(epoch FROM max(finished_at) - %(began)s)
FROM pgsupervise_delivery
"""
_SEALED = "SELECT extract(epoch FROM max(sealed_at) - min(sealed_at)) FROM pgsupervise_batch"
_CLOCK = "SELECT clock_timestamp()"
_SINCE_THE_FIRST = "SELECT extract(epoch FROM clock_timestamp() - (SELECT min(created_at) FROM pgsupervise_batch))"


@dataclass(frozen=True, slots=True)
class Sent:
    """How long it took from the moment when all was due, and for the sealing alone from its first to its last."""

    seconds: float
    sealing: float


@dataclass(frozen=True, slots=True)
class Flushing:
    """A supervisor at work on events."""

    connection: psycopg.Connection
    supervisor: int
    """Its pid."""

    def empty(self) -> None:
        """Forget all events and digests, and put the clock back."""
        self.connection.execute(_EMPTY)
        self.connection.execute(_BACK)

    def fold(self, policy: str, events: int, recipients: int, hot: int = 0) -> float:
        """Let so many events appear at once, and return how many seconds the workers took to fold all of them.

        Raises TallyError unless each is in exactly one batch.
        """
        filling.events(self.connection, policy, events, recipients, hot)
        wait_until(lambda: self._is_none(_PENDING), LONG, "all events are folded")
        seconds = self._number(_SINCE_THE_FIRST)
        folded, batches, items = self.connection.execute(_FOLDED).fetchone() or (0, 0, 0)
        if (folded, batches, items) != (events, recipients, events):
            raise TallyError(f"{events} events of {recipients}: {folded} folded, {batches} batches of {items} items")
        return seconds

    def send(self, events: int, digests: int) -> Sent:
        """Put the clock forward, so that all open batches are due, and wait until their digests are accepted.

        Raises TallyError unless each was sent once and holds its events.
        """
        row = self.connection.execute(_FORWARD).fetchone()
        wait_until(lambda: self._is_none(_UNSEALED) and self._is_none(_UNSENT), LONG, "all digests are sent")
        accepted, items, seconds = self.connection.execute(_SENT, {"began": row and row[0]}).fetchone() or (0, 0, 0)
        if (accepted, items) != (digests, events):
            raise TallyError(f"{digests} digests of {events}: {accepted} accepted with {items} items")
        return Sent(float(seconds), self._number(_SEALED))

    def _is_none(self, query: str) -> bool:
        return self.connection.execute(query).rowcount == 0

    def _number(self, query: str) -> float:
        row = self.connection.execute(query).fetchone()
        return float(row[0]) if row else 0.0


@contextmanager
def flushing(place: Place, count: int = 2, *options: str, **environment: str) -> Iterator[Flushing]:
    """Run a supervisor with so many workers in an empty database."""
    with place.database("own_events") as dsn, workers(place, dsn, count, *options, environment=environment) as some:
        # The look for what is left must follow the partial indexes: a scan of a million rows is a load of its own.
        some.connection.execute("SET enable_seqscan = off")
        some.connection.execute("SET enable_sort = off")
        yield Flushing(some.connection, some.supervised.pid)
