"""Reads the tables, the ledger, the provider and the kernel, and makes evidence of them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.chaos import ledger
from tests.chaos.changes import FICKLE
from tests.chaos.database import Row, Session
from tests.chaos.evidence import (
    NOTHING,
    Answer,
    BatchRow,
    EventRow,
    Evidence,
    Fault,
    Message,
    Process,
    Produced,
    TaskRow,
)
from tests.sendgrid_server import Message as Mail

NUMBER = re.compile(r"\[(\d+)\]")
TASKS = """
SELECT (args->>0)::bigint, bucket, key, state, attempt, max_attempts, crashes, claimed_by, NULL::float8
FROM pgsupervise_task WHERE (args->>0)::bigint > %s
UNION ALL
SELECT (args->>0)::bigint, bucket, key, state, attempt, max_attempts, crashes, worker,
    extract(epoch FROM finished_at)::float8
FROM pgsupervise_finishedtask WHERE (args->>0)::bigint > %s
"""
PROCESSES = """
SELECT id, supervisor, kind, pid, extract(epoch FROM started_at)::float8, extract(epoch FROM ended_at)::float8, state,
    end_reason, extract(epoch FROM beat_at)::float8
FROM pgsupervise_worker
"""
EVENTS = """
SELECT (data->>'number')::bigint, id, state, batch_id, reason, recipient FROM pgsupervise_event
WHERE (data->>'number')::bigint > %s
"""
BATCHES = "SELECT id, state, item_count, reason, recipient FROM pgsupervise_batch WHERE id > %s"
DELIVERIES = """
SELECT batch_id, id, state, channel, payload->'item_ids', payload->>'text', error FROM pgsupervise_delivery
WHERE batch_id > %s
"""
INBOX = """
SELECT m.delivery_id, m.text, m.subject, extract(epoch FROM m.received_at)::float8
FROM pgsupervise_inboxmessage m JOIN pgsupervise_delivery d ON d.id = m.delivery_id WHERE d.batch_id > %s
"""
LAST_BATCH = "SELECT coalesce(max(id), 0) FROM pgsupervise_batch"
LEFT = """
SELECT
    (SELECT count(*) FROM pgsupervise_task),
    (SELECT count(*) FROM pgsupervise_event WHERE state = 'PENDING'),
    (SELECT count(*) FROM pgsupervise_batch WHERE state <> 'SEALED'),
    (SELECT count(*) FROM pgsupervise_delivery WHERE state IN ('PENDING', 'SENDING', 'WAITING', 'RETRYING'))
"""
HURRY = "UPDATE pgsupervise_delivery SET not_before = now() WHERE state = 'RETRYING' AND not_before > now()"


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a schedule began: what is older is not its business."""

    at: float
    task: int = 0
    event: int = 0
    batch: int = 0
    mail: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the tables do not know."""

    dead_after: float
    wall_ahead: float
    """Seconds by which the database's clock is ahead of the monotonic one."""
    folder: Path
    members: Mapping[UUID, str]
    faults: Sequence[Fault] = ()
    tasks: Produced = NOTHING
    events: Produced = NOTHING
    mails: Sequence[Mail] = ()
    answers: Sequence[Answer] = ()


def collect(session: Session, beginning: Beginning, around: Around) -> Evidence:
    """Return what a schedule left behind."""
    ahead = around.wall_ahead
    return Evidence(
        dead_after=around.dead_after,
        tasks=around.tasks,
        events=around.events,
        runs=ledger.read(around.folder, since=beginning.at),
        task_rows=[_task(row, ahead) for row in session.demand(TASKS, beginning.task, beginning.task)],
        processes=list(_processes(session, beginning, around)),
        faults=list(around.faults),
        event_rows=[EventRow(*row) for row in session.demand(EVENTS, beginning.event)],
        batches=list(_batches(session, beginning)),
        answers=list(around.answers),
        fickle=FICKLE,
        messages=[*_inbox(session, beginning, ahead), *_mails(around.mails[beginning.mail :], ahead)],
    )


def _task(row: Row, ahead: float) -> TaskRow:
    number, bucket, key, state, attempt, most, crashes, worker, ended = row
    at = None if ended is None else ended - ahead
    return TaskRow(number, bucket, key, state, attempt, most, crashes, worker, at)


def _processes(session: Session, beginning: Beginning, around: Around) -> Iterator[Process]:
    ahead = around.wall_ahead
    for id_, supervisor, kind, pid, started, ended, state, reason, beat in session.demand(PROCESSES):
        until = None if ended is None else ended - ahead
        if until is None or until > beginning.at:
            member = around.members.get(supervisor, "?")
            yield Process(id_, member, kind, pid, started - ahead, until, state, reason, beat - ahead)


def _batches(session: Session, beginning: Beginning) -> Iterator[BatchRow]:
    deliveries: dict[int, list[Row]] = defaultdict(list)
    for batch, *columns in session.demand(DELIVERIES, beginning.batch):
        deliveries[batch].append(tuple(columns))
    for id_, state, item_count, reason, recipient in session.demand(BATCHES, beginning.batch):
        first = deliveries[id_][0] if deliveries[id_] else (None, "", "", [], "", "")
        delivery, delivery_state, channel, item_ids, text, error = first
        amount, sent = len(deliveries[id_]), (delivery, delivery_state, channel, item_ids, _numbers(text))
        yield BatchRow(id_, state, item_count, amount, *sent, reason, recipient, error)


def _inbox(session: Session, beginning: Beginning, ahead: float) -> Iterator[Message]:
    for delivery, text, subject, at in session.demand(INBOX, beginning.batch):
        yield Message(delivery, _numbers(text), f"{subject}\n{text}", at - ahead)


def _mails(mails: Sequence[Mail], ahead: float) -> Iterator[Message]:
    for mail in mails:
        arguments = mail.body["personalizations"][0]["custom_args"]
        text = mail.body["content"][0]["value"]
        yield Message(int(arguments["pgs_delivery"]), _numbers(text), _unchanging(mail.body), mail.at - ahead)


def _unchanging(body: dict[str, Any]) -> str:
    """Return all of a mail but for the number of its attempt."""
    copy = json.loads(json.dumps(body))
    del copy["personalizations"][0]["custom_args"]["pgs_attempt"]
    return json.dumps(copy, sort_keys=True)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in NUMBER.findall(text)]
