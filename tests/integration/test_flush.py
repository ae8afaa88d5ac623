"""Flush now, by call and by command: what was committed before goes out, and what comes later waits."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from django.db import connections, transaction

from pgsupervise.django_app.flush import flush
from pgsupervise.django_app.models import Batch, Event
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.policies import Policy, PolicyError, register
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.marks import Marks
from pgsupervise.supervisor import logs
from pgsupervise.supervisor.cli import main
from tests.integration.digesting import Worker
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture(autouse=True)
def policies(db: str) -> Iterator[None]:
    with own_registries():
        register(Policy(name="comments", window=DAY))
        register(Policy(name="edits", window=DAY, key="object"))
        register(Policy(name="likes", digest="comments"))
        yield


@pytest.fixture
def worker(connect: Connect, policies: None) -> Worker:
    return Worker(connect, ADA, BOB)


def test_a_flush_closes_what_was_committed_before_it(worker: Worker) -> None:
    first = notify("comments", ADA)
    worker.turn(None)
    assert len(worker.open_batches()) == 1
    second = notify("comments", ADA)
    assert flush(policy="comments") == 1
    third = notify("comments", ADA)
    worker.turn(None)
    assert worker.digests() == [[first, second]]
    assert Event.objects.get(id=third).batch_id == Batch.objects.get(state="OPEN").id


def test_a_flush_takes_along_what_its_own_transaction_wrote(worker: Worker) -> None:
    with transaction.atomic():
        told = notify("comments", ADA)
        assert flush(recipient=ADA) == 1
    worker.turn(None)
    assert worker.digests() == [[told]]


def test_a_flush_that_is_rolled_back_never_was(worker: Worker) -> None:
    notify("comments", ADA)
    with transaction.atomic():
        flush(recipient=ADA)
        transaction.set_rollback(True)
    worker.turn(None)
    assert worker.digests() == []


def test_what_commits_while_a_transaction_is_open_is_older_than_its_flush(worker: Worker, connect: Connect) -> None:
    """The transaction's now() is its beginning: an event that was committed since has a later time."""
    with transaction.atomic():
        Event.objects.count()
        other = connect()
        other.execute("SELECT pg_sleep(0.05)")
        other.execute(
            "INSERT INTO pgsupervise_event (bucket, policy, recipient, occurred_at) VALUES (%s, 'comments', %s, now())",
            [bucket_of(ADA), ADA],
        )
        assert flush(policy="comments") == 1
    worker.turn(None)
    assert len(worker.digests()) == 1


def test_an_event_of_the_future_is_flushed_too(worker: Worker) -> None:
    told = notify("comments", ADA, occurred_at=NOON + 10 * DAY)
    worker.turn(NOON)
    assert flush(policy="comments") == 1
    worker.turn(NOON)
    assert worker.digests() == [[told]]


def test_one_flush_event_is_written_for_each_key(worker: Worker) -> None:
    for what in ("a", "b", "a"):
        notify("edits", ADA, object=what)
    worker.turn(None)
    notify("edits", ADA, object="b")
    notify("edits", ADA, object="c")
    notify("edits", BOB, object="a")
    assert flush(policy="edits", recipient=ADA) == 3
    assert sorted(Event.objects.filter(is_flush=True).values_list("key", flat=True)) == ["a", "b", "c"]
    worker.turn(None)
    assert [len(digest) for digest in worker.digests()] == [2, 2, 1]
    assert [key for _, _, key, _ in worker.open_batches()] == ["a"]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({"policy": "comments"}, 3),
        ({"policy": "edits"}, 1),
        ({"recipient": ADA}, 3),
        ({"recipient": BOB}, 1),
        ({"tenant": "acme"}, 1),
        ({"tenant": ""}, 3),
        ({"policy": "comments", "recipient": ADA, "tenant": ""}, 1),
        ({"policy": "edits", "recipient": BOB}, 0),
    ],
)
def test_a_flush_concerns_what_it_names_and_nothing_else(worker: Worker, what: dict[str, Any], expected: int) -> None:
    notify("comments", ADA)
    notify("edits", ADA)
    notify("comments", BOB)
    notify("comments", ADA)
    Event.objects.filter(id=4).update(tenant="acme")
    assert flush(**what) == expected
    worker.turn(None)
    assert (len(worker.digests()), len(worker.open_batches())) == (expected, 4 - expected)
    assert flush(**what) == 0, "nothing of it is left"


def test_one_batch_is_flushed_by_its_id(worker: Worker) -> None:
    notify_many("comments", [Notification(ADA), Notification(BOB)])
    notify("edits", ADA)
    worker.turn(None)
    batch = Batch.objects.get(policy="comments", recipient=ADA)
    later = notify("comments", ADA)
    assert flush(batch=batch.id, recipient=BOB) == 0
    assert flush(batch=batch.id) == 1
    worker.turn(None)
    assert worker.digests() == [[1, later]]
    assert flush(batch=batch.id) == 0
    assert flush(batch=2**70) == 0


def test_a_flush_of_one_batch_leaves_alone_the_one_that_was_opened_since(worker: Worker) -> None:
    first = notify("comments", ADA, occurred_at=NOON)
    worker.turn(NOON)
    with transaction.atomic():
        assert flush(batch=Batch.objects.get().id) == 1
        worker.turn(NOON + DAY)
        assert worker.digests() == [[first]], "it was sealed before the flush was committed"
        notify("comments", ADA, occurred_at=NOON + DAY)
    worker.marks = dict.fromkeys(worker.marks, Marks())
    worker.turn(NOON + DAY)
    assert worker.digests() == [[first]]
    assert worker.open_batches() == [("comments", "", "", NOON + 2 * DAY)]
    assert Event.objects.filter(state="PENDING").count() == 0, "the flush is done with"
    assert flush(policy="comments") == 1
    worker.turn(NOON + DAY)
    assert len(worker.digests()) == 2, "one that names none takes what is open"


def test_a_guest_is_flushed_with_its_host(worker: Worker) -> None:
    ids = [notify("likes", ADA), notify("comments", ADA)]
    assert flush(policy="likes") == 1
    worker.turn(None)
    assert worker.digests() == [ids]


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ({}, ValueError, "was not told what to flush"),
        ({"policy": "coments"}, PolicyError, "no policy is registered as 'coments'"),
        ({"recipient": ""}, ValueError, "recipient is empty"),
        ({"recipient": 5}, TypeError, "recipient is 5"),
        ({"tenant": "t" * 101}, ValueError, "tenant is"),
        ({"batch": "7"}, TypeError, "batch is '7'"),
        ({"batch": True}, TypeError, "batch is True"),
    ],
)
def test_what_cannot_be_meant_is_refused(what: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        flush(**what)
    assert not Event.objects.exists()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return what runs the command in this process, and leaves nothing behind in it."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    monkeypatch.setattr(logs, "configure", lambda level: None)
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_the_command_flushes(worker: Worker, command: Callable[..., Result]) -> None:
    told = notify("comments", ADA)
    ran = command("flush", "--settings", "tests.settings", "--policy", "comments")
    assert (ran.exit_code, ran.output) == (0, "1 batch to be flushed\n")
    worker.turn(None)
    assert worker.digests() == [[told]]
    ran = command("--settings", "tests.settings", "flush", "--recipient", ADA)
    assert (ran.exit_code, ran.output) == (0, "0 batches to be flushed\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--policy", "coments"], "error: no policy is registered as 'coments'"),
        ([], "error: flush was not told what: give --policy, --recipient, --tenant or --batch"),
        (["--settings", "nowhere.settings", "--batch", "1"], "error: the settings module 'nowhere.settings'"),
    ],
)
def test_the_command_tells_a_fault_in_one_line(command: Callable[..., Result], options: list[str], words: str) -> None:
    ran = command("flush", *options)
    assert ran.exit_code == 2
    assert ran.output.startswith(words)
    assert ran.output.count("\n") == 1
