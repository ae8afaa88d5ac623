"""The channels that need no provider."""

import pytest
from django.db import connection

from pgsupervise.django_app import channels
from pgsupervise.django_app.channels.inbox import InboxChannel
from pgsupervise.django_app.models import InboxMessage
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Refused
from tests.registries import own_registries

PAYLOAD = {"to": "ann", "from": "us@example.com", "subject": "Hi", "text": "T", "items": 2, "item_ids": [4, 5]}


def delivery(number: int = 7, **changes: object) -> ClaimedDelivery:
    return ClaimedDelivery(number, bucket_of("ann"), 1, 3, "news", "ann", "inbox", {**PAYLOAD, **changes}, 1)


@pytest.mark.usefixtures("db")
def test_a_message_becomes_a_row() -> None:
    assert InboxChannel().send(delivery(html="<b>T</b>")) == Accepted()
    row = InboxMessage.objects.get()
    assert (row.delivery_id, row.bucket, row.recipient, row.policy) == (7, bucket_of("ann"), "ann", "news")
    assert (row.subject, row.text, row.html, row.item_ids) == ("Hi", "T", "<b>T</b>", [4, 5])
    assert row.received_at.tzinfo is not None


@pytest.mark.usefixtures("db")
def test_a_message_that_is_sent_again_is_there_once() -> None:
    for _ in range(2):
        assert InboxChannel().send(delivery()) == Accepted()
    InboxChannel().send(delivery(8))
    assert InboxMessage.objects.count() == 2
    assert channels.known()["inbox"].resend_is_safe


@pytest.mark.usefixtures("db")
def test_a_lost_connection_is_not_sent_and_the_next_message_is() -> None:
    channel = InboxChannel()
    channel.send(delivery())
    connection.connection.close()
    assert isinstance(channel.send(delivery(8)), NotSent)
    assert channel.send(delivery(8)) == Accepted()


@pytest.mark.usefixtures("db")
def test_a_message_that_no_table_holds_is_refused() -> None:
    outcome = InboxChannel().send(delivery(subject="nul \x00"))
    assert isinstance(outcome, Refused)


def test_the_null_channel_accepts() -> None:
    assert channels.known()["null"].build().send(delivery()) == Accepted()


def test_a_project_may_add_a_channel_but_not_replace_one() -> None:
    with own_registries():
        spec = channels.known()["null"]
        channels.register("pigeon", spec)
        assert channels.known()["pigeon"] is spec
        with pytest.raises(ValueError, match="'pigeon' already"):
            channels.register("pigeon", spec)
