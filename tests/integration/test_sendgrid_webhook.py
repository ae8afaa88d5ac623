"""SendGrid's Event Webhook as a view: what it takes, what it refuses, and that it says nothing about it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import psycopg
import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, OperationalError, connection
from django.db.backends.utils import CursorWrapper
from django.test import Client, RequestFactory, override_settings

from pgsupervise.django_app import provider_recording, sendgrid_views
from pgsupervise.django_app.channels.sendgrid_marks import custom_args
from pgsupervise.django_app.installation import installation_ids
from pgsupervise.django_app.models import ProviderEvent
from pgsupervise.django_app.provider_events import ProviderEvent as Told
from pgsupervise.django_app.suppressions import suppressions_of
from tests.sendgrid_sending import delivery
from tests.sendgrid_webhook import PATH, SIGNATURE, TIMESTAMP, Signer, event, post, tell

pytestmark = pytest.mark.usefixtures("db")
SIGNER, NEXT = Signer(), Signer()


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    with override_settings(PGSUPERVISE={"SENDGRID_WEBHOOK_KEYS": [NEXT.key, SIGNER.key]}):
        yield


@pytest.fixture
def heard() -> Iterator[list[Told]]:
    """Return the events that listeners have heard of, also those of transactions that were taken back."""
    found: list[Told] = []

    @provider_recording.listen
    def hear(cursor: CursorWrapper, events: Any) -> None:
        cursor.execute("SELECT 1")
        found.extend(events)

    yield found
    provider_recording._listeners.remove(hear)


def args(attempt: int = 1) -> dict[str, str]:
    return custom_args(delivery(attempt=attempt), installation_ids()[0])


def rows() -> list[tuple[Any, ...]]:
    return sorted(ProviderEvent.objects.values_list("bucket", "delivery_id", "attempt", "kind"))


def test_signed_events_are_written_down_once_and_answered_without_a_word(heard: list[Told]) -> None:
    told = [event(args(), "processed"), event(args(2), "bounce", type="bounce", reason="no such user")]
    assert tell(SIGNER, told) == 204
    assert tell(NEXT, [*told, event(args(), "delivered")]) == 204, "the keys are being exchanged"
    assert rows() == [(7, 41, 1, "delivered"), (7, 41, 1, "processed"), (7, 41, 2, "bounce")]
    assert [(one.kind, one.address, one.reason) for one in heard] == [("bounce", "ada@example.com", "no such user")]


@override_settings(
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
)
def test_a_project_that_asks_everybody_to_log_in_does_not_ask_sendgrid() -> None:
    assert tell(SIGNER, [event(args())]) == 204
    assert len(rows()) == 1


def test_an_address_that_a_signed_event_is_against_is_suppressed_with_it() -> None:
    assert (
        tell(SIGNER, [event(args(), "bounce", type="bounce", reason="no such user"), event(args(2), "delivered")])
        == 204
    )
    assert [(one.address, one.reason, one.note) for one in suppressions_of("Ada@Example.com")] == [
        ("ada@example.com", "bounce", "no such user")
    ]


def test_an_event_of_another_installation_of_the_same_account_leaves_no_trace(heard: list[Told]) -> None:
    with override_settings(SECRET_KEY="that of staging"):
        theirs = args()
    assert tell(SIGNER, [event(theirs, "spamreport"), event({}, "bounce"), event(args(), "open")]) == 204
    assert rows() == []
    assert heard == []


def test_what_is_forged_replayed_late_or_unsigned_is_refused_without_a_word() -> None:
    body = json.dumps([event(args())]).encode()
    good = SIGNER.headers(body)
    eve = Signer().headers(body)
    bad = [
        {},
        {TIMESTAMP: good[TIMESTAMP]},
        {SIGNATURE: good[SIGNATURE]},
        {**good, SIGNATURE: ""},
        {**good, SIGNATURE: "%%%"},
        {**good, SIGNATURE: "\u00fc"},
        {**good, TIMESTAMP: "soon"},
        {**good, TIMESTAMP: str(int(good[TIMESTAMP]) - 1)},
        eve,
        SIGNER.headers(body, time.time() - 90_010),
        SIGNER.headers(body, time.time() + 400),
    ]
    answers = [post(body, headers) for headers in bad]
    answers.append(post(body[:-1], good))
    answers.append(post(body + b"\n", good))
    assert [(answer.status_code, answer.content) for answer in answers] == [(403, b"")] * 13
    assert rows() == []
    assert [post(body, good).status_code for _ in range(3)] == [204] * 3, "a replay in time is known by its events"
    assert len(rows()) == 1


def test_without_a_key_everything_is_refused() -> None:
    with override_settings(PGSUPERVISE={}):
        assert tell(SIGNER, [event(args())]) == 403


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"\xff\xfe\x00", b"[\xc3\x28]", b"[" * 100_000, b"[NaN]"])
def test_what_is_signed_and_no_array_of_events_is_refused_without_a_word(body: bytes) -> None:
    answer = post(body, SIGNER.headers(body))
    assert (answer.status_code, answer.content) == (400, b"")


@pytest.mark.parametrize("method", ["get", "put", "delete", "head", "options"])
def test_other_methods_are_refused(method: str) -> None:
    answer = getattr(Client(), method)(PATH)
    assert (answer.status_code, answer.content) == (405, b"")


def test_the_address_without_its_slash_is_no_redirect() -> None:
    body = json.dumps([event(args())]).encode()
    answer = Client().post(PATH[:-1], body, content_type="application/json", headers=SIGNER.headers(body))
    assert answer.status_code == 204


def test_a_form_from_another_site_is_not_asked_for_a_token_and_not_read() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(PATH, {"a": "b"}).status_code == 403


def test_ten_thousand_events_at_once_are_taken_and_too_many_bytes_are_not() -> None:
    told = [event(args(), "deferred", reason="x" * 500) for _ in range(10_000)]
    assert tell(SIGNER, told) == 204
    assert ProviderEvent.objects.count() == 10_000
    body = b"[" + b" " * sendgrid_views.LARGEST_BODY + b"]"
    answer = post(body, SIGNER.headers(body))
    assert (answer.status_code, answer.content) == (413, b"")


def test_a_body_that_breaks_off_is_refused_without_a_word() -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("connection reset")

    environ = RequestFactory().post(PATH, b"[]", content_type="application/json", headers=SIGNER.headers(b"[]")).environ
    answer = sendgrid_views.events(WSGIRequest({**environ, "wsgi.input": Broken()}))
    assert (answer.status_code, answer.content) == (400, b"")


def test_events_that_cannot_be_written_down_are_to_be_told_again(heard: list[Told]) -> None:
    def fails(cursor: CursorWrapper, events: Any) -> None:
        raise DatabaseError("out of disk")

    told = [event(args(), "spamreport")]
    provider_recording.listen(fails)
    try:
        body = json.dumps(told).encode()
        answer = post(body, SIGNER.headers(body))
    finally:
        provider_recording._listeners.remove(fails)
    assert (answer.status_code, answer.content, rows()) == (503, b"", [])
    assert tell(SIGNER, told) == 204
    assert len(heard) == 2, "once in the transaction that was taken back"


def test_the_same_events_in_any_order_at_the_same_time_are_written_once() -> None:
    """Without one order for all, requests that wait for each other's rows would end in a deadlock."""
    told = [event(args(), "processed", sg_event_id=f"{number:03}") for number in range(400)]
    statuses: list[int] = []
    barrier = threading.Barrier(6)

    def send(number: int) -> None:
        barrier.wait()
        statuses.append(tell(SIGNER, told[number * 60 :] + told[: number * 60]))
        connection.close()

    threads = [threading.Thread(target=send, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [204] * 6
    assert ProviderEvent.objects.count() == 400


def test_events_are_written_in_one_order_whatever_the_order_in_which_they_are_told() -> None:
    told = [event(args(), "processed", sg_event_id=f"{number:03}") for number in range(100)]
    assert tell(SIGNER, told[60:] + told[:60]) == 204
    written = ProviderEvent.objects.order_by("id").values_list("event_id", flat=True)
    assert list(written) == [f"{number:03}" for number in range(100)]


def test_a_request_waits_for_no_worker(connect: Callable[[], psycopg.Connection]) -> None:
    worker = connect()
    with worker.transaction():
        worker.execute("SELECT FROM pgsupervise_lease WHERE bucket = 7 FOR UPDATE")
        worker.execute("LOCK TABLE pgsupervise_delivery IN EXCLUSIVE MODE")
        assert tell(SIGNER, [event(args())]) == 204


def test_a_database_that_is_away_is_no_server_error_even_where_requests_are_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away() -> None:
        raise OperationalError("connection refused")

    connection.close()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(connection, "connect", away)
    body = json.dumps([event(args())]).encode()
    answer = post(body, SIGNER.headers(body))
    assert (answer.status_code, answer.content) == (503, b"")
