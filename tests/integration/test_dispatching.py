"""The dispatcher claims what may go, and tells a bucket with something to send from one that only waits."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from pgsupervise.partitions import deliveries
from pgsupervise.partitions.deliveries import SentDelivery
from pgsupervise.partitions.states import DeliveryState
from pgsupervise.supervisor.claiming import Wanted
from pgsupervise.supervisor.dispatcher import Dispatcher
from pgsupervise.supervisor.mark_book import MarkBook
from pgsupervise.supervisor.ownership import Ownership
from pgsupervise.supervisor.senders import Senders
from tests.integration.test_notification_rows import BUCKET, NOON
from tests.integration.wishing import HOUR, Wishing, policy, project_of
from tests.registries import own_registries


@pytest.fixture
def wishing(connect: Callable[[], psycopg.Connection]) -> Iterator[Wishing]:
    with own_registries():
        policy("news", channel="sendgrid")
        yield Wishing(connect)


@contextmanager
def dispatching(wishing: Wishing) -> Iterator[tuple[Dispatcher, MarkBook]]:
    """Give a dispatcher whose senders take everything and send nothing."""
    project, ownership = project_of({}, {}), Ownership(timedelta(minutes=5))
    ownership.adopt(wishing.epochs)
    ownership.renewed(time.monotonic())
    stopped = {"draining": threading.Event(), "holding": threading.Event()}
    context: Any = SimpleNamespace(project=project, ownership=ownership, id=wishing.owner, sending=0, **stopped)
    link: Any = SimpleNamespace(connection=wishing.connection)
    senders, marks = Senders(project, 1, lambda: False), MarkBook()
    try:
        yield Dispatcher(context, link, senders, marks, lambda bucket, error: None), marks
    finally:
        senders.stop()


def test_what_stands_behind_another_is_no_work_and_what_is_ripe_is_claimed_from_the_start(wishing: Wishing) -> None:
    wishing.event("news", NOON), wishing.event("news", NOON + 2 * HOUR)
    wishing.flush(NOON + 9 * HOUR)
    epoch = wishing.epochs[BUCKET]
    first, second = wishing.claim()
    ends = [
        SentDelivery(first, DeliveryState.RETRYING, error="503", delay=HOUR),
        SentDelivery(second, DeliveryState.PENDING),
    ]
    deliveries.finish_deliveries(wishing.connection, wishing.owner, {(BUCKET, epoch): ends})
    with dispatching(wishing) as (dispatcher, marks):
        dispatcher.want(Wanted(BUCKET, epoch, safe=False, unsafe=True))
        dispatcher.dispatch()
        assert (dispatcher.claimed, dispatcher.is_empty) == (0, True), "or the flusher would ask without a rest"
        wishing.connection.execute("UPDATE pgsupervise_delivery SET not_before = now() WHERE state = 'RETRYING'")
        marks.of(BUCKET, epoch).unsafe = second.id
        dispatcher.want(Wanted(BUCKET, epoch, safe=False, unsafe=False, ripe=True))
        dispatcher.dispatch()
        assert (dispatcher.claimed, dispatcher.is_empty) == (2, False)
        assert marks.of(BUCKET, epoch).unsafe == second.id
