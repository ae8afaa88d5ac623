"""What was told, taken back, read and flushed, all of it by the API; each answer is what the model says."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction

from pgsupervise.django_app.flush import flush
from pgsupervise.django_app.models import Batch, Event
from pgsupervise.django_app.notifications import Notification, notify, notify_many
from pgsupervise.django_app.reading import mark_read
from pgsupervise.django_app.retracting import Retraction, retract, retract_about
from pgsupervise.partitions.buckets import bucket_of

from .kinds import HOSTS, OWN_LEFT_OUT
from .model import Key, Told, Where
from .wish_book import WishBook

Fields = Mapping[str, Any]
UNSETTLED = (Where.PENDING, Where.OPEN)


class _OnPurposeError(Exception):
    """Rolls a transaction back."""


class History:
    """The events of a history in the order of their ids, and the clock."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.book = WishBook()
        self.told: list[Told] = []
        self.tainted: set[Key] = set()
        """Keys whose digests depend on when they were folded, by their nature: something came late to them."""
        self.folded_until: dict[int, datetime] = {}
        self.groups: dict[int, Group] = {}
        self.tried: set[int | None] = set()
        """Batches of which a channel may have taken a message."""
        self.lost: set[int] = set()
        """Deliveries that were in the hands of a sender that nobody heard of again."""
        self.batches: dict[int, tuple[Any, ...]] = {}
        """What is known of sealed batches and their messages: it never changes."""

    def in_time(self, fields: Fields) -> datetime:
        """Return the earliest time that is not late: neither the clock nor the bucket's owner has passed it."""
        return max(self.now, self.folded_until.get(bucket_of(fields["recipient"]), self.now))

    def key_of(self, fields: Fields) -> Key:
        """Return the key of the batch that takes an event."""
        policy: str = fields["policy"]
        return HOSTS.get(policy, policy), fields["recipient"], fields["tenant"], fields["page"]

    def tell(self, fields: Fields, at: datetime, *, again: str = "") -> Told:
        """Tell one event; `again` is an idempotency key."""
        notification, told = self._made(fields, at, again)
        told.id = notify(fields["policy"], **notification._asdict())
        self.told.append(told)
        return told

    def tell_many(self, stories: Sequence[tuple[Fields, datetime]]) -> None:
        """Tell several events in bulk, in one transaction."""
        last = self.told[-1].id if self.told else 0
        made = [(fields["policy"], *self._made(fields, at)) for fields, at in stories]
        made.sort(key=itemgetter(0))
        with transaction.atomic():
            for policy, several in groupby(made, key=itemgetter(0)):
                notifications = [notification for _, notification, _ in several]
                assert notify_many(policy, notifications) == len(notifications)
        ids = Event.objects.filter(id__gt=last).order_by("id").values_list("id", flat=True)
        for (_, _, told), id_ in zip(made, ids, strict=True):
            told.id = id_
            self.told.append(told)

    def tell_in_vain(self, fields: Fields, event: Told | None) -> None:
        """Do everything in a transaction that is rolled back."""
        try:
            with transaction.atomic():
                notify(fields["policy"], fields["recipient"], tenant=fields["tenant"], occurred_at=self.now)
                flush(recipient=fields["recipient"])
                if event:
                    retract(event.id)
                    mark_read(event.key[1], "all")
                raise _OnPurposeError
        except _OnPurposeError:
            pass

    def tell_again(self, event: Told) -> None:
        """Tell an event with the idempotency key of another one: nothing is written."""
        later = self.now + timedelta(days=1)
        again = notify(event.policy, event.key[1], idempotency_key=event.idempotency_key, occurred_at=later)
        assert again == event.id

    def _made(self, fields: Fields, at: datetime, again: str = "") -> tuple[Notification, Told]:
        policy, recipient, tenant = fields["policy"], fields["recipient"], fields["tenant"]
        data = {"page": fields["page"]} if fields["page"] else {}
        ends_at = fields.get("ends_at")
        if isinstance(ends_at, int):
            data["ends_at"] = (at + timedelta(minutes=ends_at)).isoformat()
        elif ends_at:
            data["ends_at"] = ends_at
        is_own = bool(fields.get("own"))
        about = self._group(fields.get("about", 0))
        notification = Notification(
            recipient, data, recipient if is_own else "Bob", "", at, tenant, about, idempotency_key=again
        )
        kind = "own" if is_own and policy in OWN_LEFT_OUT else "event"
        whose = self.book.whose(policy, recipient, tenant)
        told = Told(0, bucket_of(recipient), policy, self.key_of(fields), at, kind, data, whose)
        told.about, told.idempotency_key = fields.get("about", 0), again
        return notification, told

    def _group(self, number: int) -> Group | None:
        if not number:
            return None
        if number not in self.groups:
            self.groups[number] = Group.objects.create(name=f"group {number}")
        return self.groups[number]

    def flush(self, policy: str, recipient: str, tenant: str | None) -> None:
        """Flush now, and learn which keys are concerned: those with an open batch, or with events to be folded."""
        host = HOSTS.get(policy, policy)
        concerned: dict[Key, datetime] = {}
        for batch_key, last_at in self._open_batches():
            concerned[batch_key] = max(self.now, last_at or self.now)
        for event in self.told:
            if event.where is Where.PENDING and event.kind != "flush":
                concerned[event.key] = max(concerned.get(event.key, self.now), event.at)
        wanted = {
            key: at
            for key, at in concerned.items()
            if key[0] == host and key[1] == recipient and tenant in (None, key[2])
        }
        last = self.told[-1].id if self.told else 0
        assert flush(policy=policy, recipient=recipient, tenant=tenant) == len(wanted)
        rows = Event.objects.filter(id__gt=last).order_by("id")
        for id_, *key, at in rows.values_list("id", "policy", "recipient", "tenant", "key", "occurred_at"):
            of_key: Any = tuple(key)
            assert wanted.pop(of_key) == at
            self.told.append(Told(id_, bucket_of(recipient), policy, of_key, at, "flush"))
            if at < self.folded_until.get(bucket_of(recipient), at):
                self.tainted.add(of_key)
        assert not wanted

    def _open_batches(self) -> Sequence[tuple[Key, datetime | None]]:
        rows = Batch.objects.filter(state="OPEN").values_list("policy", "recipient", "tenant", "key", "last_at")
        return [((policy, recipient, tenant, key), last_at) for policy, recipient, tenant, key, last_at in rows]

    def retract(self, event: Told) -> None:
        """Take an event back, and hear what became of it."""
        expected = self._answer(event)
        if event.idempotency_key:
            named = event.idempotency_key
            assert retract(policy=event.policy, recipient=event.key[1], idempotency_key=named) is expected
        else:
            assert retract(event.id) is expected
        self._taken([event], Where.RETRACTED)

    def delete(self, number: int) -> None:
        """Delete an object, or retract what was told about it."""
        group = self.groups.pop(number)
        concerned = [event for event in self.told if event.about == number]
        answers = Counter(map(self._answer, concerned))
        if number % 2:
            assert retract_about(group) == answers
        group.delete()
        self._taken(concerned, Where.RETRACTED)
        for event in concerned:
            event.about = 0

    def read(self, recipient: str, events: Collection[Told] | None) -> None:
        """Let a recipient read some of its events, or all that is neither sent nor left out."""
        given = [event for event in self.told if event.key[1] == recipient and event.kind != "flush"]
        if events is None:
            concerned = [event for event in given if event.where in (*UNSETTLED, Where.SEALED)]
        else:
            concerned = [event for event in given if event in events]
        concerned = [event for event in concerned if not event.is_read]
        leaving = [event for event in concerned if event.where in UNSETTLED]
        asked: Any = "all" if events is None else [event.id for event in events]
        assert mark_read(recipient, asked) == (len(concerned), len(leaving))
        for event in concerned:
            event.is_read = True
        self._taken(leaving, Where.FILTERED, "read")

    def _taken(self, events: Collection[Told], where: Where, reason: str = "") -> None:
        for event in events:
            if event.where in UNSETTLED and event.kind != "flush":
                if event.batch is not None and event.key[0] in ("three", "pairs", "wave"):
                    self.tainted.add(event.key)  # it counted, or it did not, by when it was folded
                event.where, event.reason = where, reason

    def _answer(self, event: Told) -> Retraction:
        if event.kind == "flush":
            return Retraction.UNKNOWN
        if event.where is not Where.SEALED:
            return Retraction.RETRACTED
        return Retraction.SENT if event.batch in self.tried else Retraction.SEALED
