"""For a project's tests: everything due is folded, sealed and sent here and now, and returned.

    with freeze(datetime(2026, 3, 1, 12, tzinfo=UTC)) as clock:
        notify("comments", "ann@example.com", {"text": "Nice!"}, actor="Bob")
        assert flush_due() == []
        clock.advance(timedelta(minutes=5))
        (digest,) = flush_due()
        assert digest.subject == "Bob commented"

It works inside a TestCase's transaction and without one. No message leaves the process: those by other channels than
the inbox are written down as accepted and returned, so it is for a database of the tests' own alone. In pytest,
`pytest_plugins = ["pgsupervise.django_app.testing_plugin"]` gives the fixture `pgsupervise_clock`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.partitions.standbys import NOT_NEEDED
from pgsupervise.partitions.states import DeliveryState
from pgsupervise.supervisor.outcomes import Accepted, SendOutcome
from pgsupervise.supervisor.project import Channel, ChannelSpec

from . import composition
from .bulk import write_connection
from .clock import Frozen, advance, freeze, unfreeze
from .fanout_task import go_on
from .models import Batch, Delivery, FanOut, FanOutState
from .testing_guard import RECORDED, ClockError, real_database
from .testing_worker import TestWorker
from .texts import shorten

__all__ = [
    "ClockError",
    "Digest",
    "DigestError",
    "Frozen",
    "advance",
    "finish_fan_outs",
    "flush_due",
    "freeze",
    "unfreeze",
]


class DigestError(AssertionError):
    """A digest could not be rendered; the message says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A message as its channel got it; the parts that the channel does not take are empty."""

    policy: str
    recipient: str
    tenant: str
    key: str
    channel: str
    state: DeliveryState
    event_ids: tuple[int, ...]
    subject: str
    text: str
    html: str = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)


class _Recording:
    """Accepts every message and sends none."""

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        return Accepted(RECORDED)


def flush_due(*, through: Collection[str] = ("inbox",)) -> list[Digest]:
    """Fold what is new, seal what is due by the event clock, send it, and return the digests in order.

    Only the channels that are named are really used, the others' messages are accepted and returned: never call it on
    a database with real digests. Raises ClockError where DEBUG is off, the database is no test's and a channel is not
    named; DigestError for digests that could not be rendered; TypeError or ValueError for what are no channels' names;
    and RuntimeError where live workers own the recipients' buckets.
    """
    project = composition.assemble()
    _check_through(through, project.channels)
    with TestWorker(write_connection(Delivery)) as worker:
        channels = {name: _spec(name, spec, through) for name, spec in project.channels.items()}
        handled = worker.flush(replace(project, channels=channels))
    _refuse_failures()
    return [_digest(delivery) for delivery in _deliveries(handled)]


def _check_through(through: Collection[str], known: Mapping[str, ChannelSpec]) -> None:
    given: object = through
    if isinstance(given, str) or not isinstance(given, Collection):
        raise TypeError(f'through is {shorten(given)}: give a list of channels\' names, such as ["inbox"]')
    if unknown := [name for name in through if name not in known]:
        raise ValueError(f"through names {shorten(unknown[0])}, which is no channel: use some of {', '.join(known)}")
    recorded = [name for name, spec in known.items() if spec.needs_call and name not in through]
    if recorded and (database := real_database()):
        raise ClockError(
            f"DEBUG is off and {database!r} is no test database: flush_due() would write its digests by "
            f"{', '.join(recorded)} down as sent, without sending them; point the tests at a database of their own, or "
            "name every channel in through=[...]"
        )


def _spec(name: str, spec: ChannelSpec, through: Collection[str]) -> ChannelSpec:
    return spec if name in through else replace(spec, build=_recording)


def _recording() -> Channel:
    return _Recording()


def _refuse_failures() -> None:
    failed = Batch.objects.exclude(error="").order_by("id")[:10]
    if failed:
        words = "; ".join(f"{batch.policy} for {batch.recipient}: {batch.error}" for batch in failed)
        raise DigestError(f"these digests could not be rendered: {words}")


def _deliveries(ids: Iterable[int]) -> Iterable[Delivery]:
    rows = Delivery.objects.filter(id__in=list(ids)).exclude(state=DeliveryState.STANDBY)
    return rows.exclude(error=NOT_NEEDED).select_related("batch").order_by("batch__deliver_at", "id")


def _digest(delivery: Delivery) -> Digest:
    payload = delivery.payload
    return Digest(
        policy=delivery.policy,
        recipient=delivery.recipient,
        tenant=delivery.batch.tenant,
        key=delivery.batch.key,
        channel=delivery.channel,
        state=DeliveryState(delivery.state),
        event_ids=tuple(payload.get("item_ids", ())),
        subject=payload.get("subject", ""),
        text=payload.get("text", ""),
        html=payload.get("html", ""),
        payload=payload,
    )


def finish_fan_outs() -> int:
    """Tell the followers of all runs that have begun, as their tasks would do, and return how many were told."""
    told = 0
    for run in FanOut.objects.filter(state=FanOutState.RUNNING).order_by("id"):
        before = run.told
        while run.state == FanOutState.RUNNING:
            go_on(run.pk, run.bucket, run.link)
            run.refresh_from_db()
        told += run.told - before
    return told
