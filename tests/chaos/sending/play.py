"""Sends digests while workers are killed, ends graces as time would, and gathers what became of each."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg

from pgsupervise.partitions.buckets import bucket_of
from tests.chaos.database import Session
from tests.chaos.sending.evidence import WAYS, Attempt, Evidence, Row
from tests.chaos.sending.killer import TRAIL, Killer
from tests.chaos.sending.provider import Provider
from tests.chaos.sending.teller import Teller
from tests.lifecycle.supervising import Supervised
from tests.waiting import wait_until

LONG_AGO = timedelta(days=1)
AFTERWARDS = timedelta(seconds=3)
"""So long a message may take from a sender that was killed to the provider's threads; a grace is no shorter."""
HURRY_SECONDS = 0.5
STEP_SECONDS = 0.05
STANDSTILL_SECONDS = 5.0
PROGRESS_SECONDS = 10.0
COPY = "COPY pgsupervise_event (bucket, policy, recipient, actor, occurred_at) FROM STDIN"
UNSENT = """
SELECT EXISTS (SELECT FROM pgsupervise_delivery WHERE state IN ('PENDING', 'SENDING'))
    OR EXISTS (SELECT FROM pgsupervise_event WHERE state = 'PENDING')
    OR EXISTS (SELECT FROM pgsupervise_batch WHERE state <> 'SEALED')
"""
STATES = "SELECT state, count(*) FROM pgsupervise_delivery GROUP BY 1"
RETRY = "UPDATE pgsupervise_delivery SET not_before = now() WHERE state = 'RETRYING' AND not_before > now()"
IN_GRACE = """
SELECT id, finished_at FROM pgsupervise_delivery WHERE state = 'UNKNOWN' AND unknown_until > now() AND finished_at < %s
"""
END_GRACE = "UPDATE pgsupervise_delivery SET unknown_until = now() WHERE id = ANY(%s) AND state = 'UNKNOWN'"
WAITING = """
SELECT (SELECT count(*) FROM pgsupervise_delivery WHERE state IN ('PENDING', 'SENDING', 'RETRYING', 'WAITING'))
    + (SELECT count(*) FROM pgsupervise_delivery WHERE state = 'UNKNOWN' AND unknown_until IS NOT NULL)
    + (SELECT count(*) FROM pgsupervise_providerevent WHERE applied_at IS NULL)
"""
HELD = "SELECT id FROM pgsupervise_delivery WHERE state = 'UNKNOWN' AND policy = 'mailed-hold'"
ROWS = "SELECT id, recipient, policy, state, attempt, duplicates FROM pgsupervise_delivery ORDER BY id"
EARLY = """
SELECT count(DISTINCT d.id) FROM pgsupervise_delivery d
JOIN pgsupervise_providerevent e ON e.bucket = d.bucket AND e.delivery_id = d.id AND e.received_at < d.finished_at
WHERE d.state = 'ACCEPTED'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What plays."""

    dsn: str
    session: Session
    provider: Provider
    teller: Teller
    supervised: Supervised
    seed: int
    every: tuple[int, int]
    """How many messages are taken between two kills, at least and at most."""
    patience: float
    """The longest that anything is waited for."""


def fill(dsn: str, digests: int) -> list[str]:
    """Insert one event each for so many recipients, as `notify()` does; their policies take turns."""
    recipients = [f"{WAYS[number % len(WAYS)]}-{number}@example.com" for number in range(digests)]
    at = datetime.now(UTC) - LONG_AGO
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for recipient in recipients:
            policy = f"mailed-{recipient.partition('-')[0]}"
            copy.write_row((bucket_of(recipient), policy, recipient, "Bob", at))
    return recipients


def play(stage: Stage, recipients: Sequence[str]) -> Evidence:
    """Kill workers until all was sent, let the rest be settled in peace, and return what became of it."""
    stage.session.demand(TRAIL)
    killer = Killer(stage.session, stage.supervised.pid, stage.provider, stage.seed)
    _rain(stage, killer)
    stage.provider.calm = True
    killer.end_hangs()
    _settle(stage)
    held = frozenset(row[0] for row in stage.session.demand(HELD))
    early = stage.session.demand(EARLY)[0][0]
    stage.teller.tell_all()
    _settle(stage)
    return Evidence(
        recipients=recipients,
        taken=list(stage.provider.taken),
        cut=dict(stage.provider.cut),
        killed=killer.killed(),
        held=held,
        rows=[Row(*row) for row in stage.session.demand(ROWS)],
        kills=killer.kills,
        counts={**stage.provider.did, **stage.teller.counts, "told before the answer was written down": early},
    )


def _rain(stage: Stage, killer: Killer) -> None:
    """Kill one worker after every few messages that the provider has taken, or when none comes any more."""
    rand, provider, began = Random(stage.seed), stage.provider, time.monotonic()
    due, last, moved_at, hurry_at, told_at = 0, -1, began, began, began
    while True:
        now, taken = time.monotonic(), len(provider.taken)
        if taken != last:
            last, moved_at = taken, now
        if taken >= due or now > moved_at + STANDSTILL_SECONDS:
            killer.kill()
            due, moved_at = taken + rand.randint(*stage.every), now
        if now >= hurry_at:
            hurry_at = now + HURRY_SECONDS
            stage.session.demand(RETRY)
            _end_graces(stage)
            if stage.session.demand(UNSENT) == [(False,)]:
                return
        if now >= told_at:
            told_at = now + PROGRESS_SECONDS
            tell(f"{killer.kills} kills, {taken} taken, {stage.session.demand(STATES)}")
        if now > began + stage.patience:
            raise AssertionError(f"not sent within {stage.patience:g} s: {stage.session.demand(STATES)}")
        time.sleep(STEP_SECONDS)


def _settle(stage: Stage) -> None:
    """Wait until nothing is left to send, to tell or to settle."""

    def settled() -> bool:
        stage.session.demand(RETRY)
        _end_graces(stage)
        return stage.teller.is_done and stage.session.demand(WAITING) == [(0,)]

    wait_until(settled, stage.patience, "all is settled")


def _end_graces(stage: Stage) -> None:
    """End the grace of what has had time enough: the provider has no request of it, and has told of all it took.

    That the webhook is alive, which the workers ask for, is seen by something that is told now.
    """
    waiting = stage.session.demand(IN_GRACE, datetime.now(UTC) - AFTERWARDS)
    waiting = [row for row in waiting if not stage.provider.is_deciding(row[0])]
    if not waiting or not stage.teller.pulse():
        return
    mine = {delivery for delivery, _ in waiting}
    attempts = [taken.which for taken in stage.provider.taken if taken.which.delivery in mine]
    told: dict[int, list[Attempt]] = {delivery: [] for delivery in mine}
    for which in attempts:
        told[which.delivery].append(which)
    ready = [delivery for delivery, those in told.items() if stage.teller.has_told(those)]
    stage.session.demand(END_GRACE, ready)


def tell(line: str) -> None:
    """Tell the terminal how far things are."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
