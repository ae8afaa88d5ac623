"""Notifications: events, the batches they are folded into, and the deliveries that the batches become."""

from datetime import UTC, datetime

from django.db import models
from django.db.models import Q

from pgsupervise.partitions.states import BatchState, DeliveryState, EventState

from .fields import BucketField, KeyBucket, NumbersField, TransactionNow

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""When events may have occurred: PostgreSQL has an infinity, and a window's end must be a date that Python can hold."""


class RecipientColumns(models.Model):
    """Every row of a recipient lies in the recipient's bucket, so one worker at a time sees all of them."""

    id = models.BigAutoField(primary_key=True)
    bucket = BucketField(key_field="recipient")
    policy = models.CharField(max_length=100)
    recipient = models.CharField(max_length=320)
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(name="pgsupervise_%(class)s_bucket", condition=Q(bucket=KeyBucket("recipient")))
        ]


class Event(RecipientColumns):
    """One thing to tell a recipient. `notify()` writes these and nothing else."""

    tenant = models.CharField(max_length=100, default="", blank=True, db_default="")
    key = models.CharField(max_length=500, default="", blank=True, db_default="", help_text="Batched apart by this.")
    actor = models.CharField(max_length=320, default="", blank=True, db_default="")
    object = models.CharField(max_length=500, default="", blank=True, db_default="")
    data = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    about_type = models.CharField(
        max_length=200, default="", blank=True, db_default="", help_text="Label of the model of what it is about."
    )
    about_id = models.CharField(max_length=200, default="", blank=True, db_default="", help_text="Its primary key.")
    idempotency_key = models.CharField(max_length=200, default="", blank=True, db_default="")
    is_flush = models.BooleanField(default=False, db_default=False, help_text="No event: it closes its key's batch.")
    occurred_at = models.DateTimeField(db_default=TransactionNow())
    read_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(
        max_length=9,
        choices=[(state.value, state.value) for state in EventState],
        default=EventState.PENDING,
        db_default=EventState.PENDING.value,
    )
    reason = models.CharField(max_length=50, default="", blank=True, db_default="", help_text="Why it was left out.")
    left_out_at = models.DateTimeField(null=True, blank=True, help_text="When it was retracted or filtered.")
    batch = models.ForeignKey(
        "Batch", on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="events"
    )

    class Meta(RecipientColumns.Meta):
        constraints = [
            *RecipientColumns.Meta.constraints,
            models.CheckConstraint(
                name="pgsupervise_event_state",
                condition=Q(state=EventState.PENDING, batch__isnull=True)
                | Q(state=EventState.FOLDED, batch__isnull=False)
                | Q(state=EventState.RETRACTED)
                | (Q(state=EventState.FILTERED) & ~Q(reason="")),
            ),
            models.UniqueConstraint(
                fields=["bucket", "recipient", "policy", "idempotency_key"],
                name="pgsupervise_event_idempotency",
                condition=~Q(idempotency_key=""),
            ),
            models.CheckConstraint(
                name="pgsupervise_event_occurred_at", condition=Q(occurred_at__range=(EARLIEST, LATEST))
            ),
        ]
        indexes = [
            models.Index(
                "bucket", "occurred_at", "id", name="pgsupervise_event_pending", condition=Q(state=EventState.PENDING)
            ),
            models.Index("batch_id", name="pgsupervise_event_batch", condition=Q(batch__isnull=False)),
            models.Index(
                "batch_id",
                name="pgsupervise_event_gone",
                condition=Q(batch__isnull=False, state__in=[EventState.RETRACTED, EventState.FILTERED]),
            ),
            models.Index(
                "batch_id",
                name="pgsupervise_event_read",
                condition=Q(batch__isnull=False, read_at__isnull=False),
            ),
            models.Index("about_type", "about_id", name="pgsupervise_event_about", condition=~Q(about_type="")),
            models.Index(
                "recipient",
                "bucket",
                "id",
                name="pgsupervise_event_left_out",
                condition=Q(state__in=[EventState.RETRACTED, EventState.FILTERED]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy} for {self.recipient} #{self.pk}"


class Batch(RecipientColumns):
    """The open events of one (policy, recipient, key), and later what became of them."""

    tenant = models.CharField(max_length=100, default="", db_default="")
    key = models.CharField(max_length=500, default="", db_default="")
    state = models.CharField(max_length=6, choices=[(state.value, state.value) for state in BatchState])
    opened_at = models.DateTimeField(help_text="When its first event occurred.")
    closes_at = models.DateTimeField(help_text="It takes events that occurred before this.")
    slides_by = models.DurationField(
        null=True, help_text="So far behind itself each event moves that; zero: not at all."
    )
    slides_until = models.DateTimeField(null=True, help_text="But no further than this.")
    deliver_at = models.DateTimeField(help_text="It is sealed when the event clock reaches this.")
    item_count = models.PositiveIntegerField(help_text="Those that were taken back later are counted, too.")
    last_at = models.DateTimeField(null=True, help_text="When its last event occurred.")
    reason = models.CharField(max_length=50, default="", db_default="", help_text="Why nothing of it was sent.")
    sealed_at = models.DateTimeField(null=True)
    error = models.TextField(default="", db_default="", help_text="Why it could not be rendered.")

    class Meta(RecipientColumns.Meta):
        verbose_name_plural = "batches"
        constraints = [
            *RecipientColumns.Meta.constraints,
            models.UniqueConstraint(
                fields=["bucket", "recipient", "policy", "tenant", "key"],
                name="pgsupervise_batch_one_open",
                condition=Q(state=BatchState.OPEN),
            ),
            models.CheckConstraint(
                name="pgsupervise_batch_state",
                condition=Q(state__in=[BatchState.OPEN, BatchState.CLOSED], sealed_at__isnull=True)
                | Q(state=BatchState.SEALED, sealed_at__isnull=False),
            ),
        ]
        indexes = [
            # With the id, since many are due at the same time: the next chunk starts behind the last one's last.
            models.Index(
                "bucket", "deliver_at", "id", name="pgsupervise_batch_due", condition=~Q(state=BatchState.SEALED.value)
            ),
            # Those of tenants alone: where nobody has tenants it is empty, and costs nothing.
            models.Index(
                "bucket",
                "tenant",
                "deliver_at",
                "id",
                name="pgsupervise_batch_turn",
                condition=~Q(state=BatchState.SEALED.value) & ~Q(tenant=""),
            ),
            models.Index(
                "bucket", "recipient", name="pgsupervise_batch_closed", condition=Q(state=BatchState.CLOSED.value)
            ),
            # With all that makes a key, so that the last batch of one is found behind however many of others.
            models.Index("bucket", "recipient", "policy", "tenant", "key", "id", name="pgsupervise_batch_recipient"),
            models.Index("id", name="pgsupervise_batch_failed", condition=~Q(error="")),
        ]

    def __str__(self) -> str:
        return f"{self.policy} for {self.recipient} #{self.pk}"


class Delivery(RecipientColumns):
    """One message of a sealed batch over one channel: rendered once, sent as it is, however often."""

    batch = models.ForeignKey(
        Batch, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="deliveries"
    )
    tenant = models.CharField(max_length=100, default="", db_default="")
    channel = models.CharField(max_length=50)
    payload = models.JSONField()
    state = models.CharField(
        max_length=8,
        choices=[(state.value, state.value) for state in DeliveryState],
        default=DeliveryState.PENDING,
        db_default=DeliveryState.PENDING.value,
    )
    attempt = models.PositiveIntegerField(default=0, db_default=0)
    copies = models.PositiveIntegerField(
        default=0, db_default=0, help_text="So often it was sent without its being known whether it went out."
    )
    not_before = models.DateTimeField(db_default=TransactionNow())
    claim_token = models.BigIntegerField(default=0, db_default=0, editable=False)
    claimed_by = models.UUIDField(null=True, editable=False)
    claimed_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True)
    provider_id = models.CharField(
        max_length=200, default="", db_default="", help_text="By which the provider's own answer named the message."
    )
    error = models.TextField(default="", db_default="")
    unknown_until = models.DateTimeField(
        null=True, help_text="Of unknown fate: the provider's events may prove it until then. Empty: a person decides."
    )
    provider_status = models.CharField(
        max_length=20, default="", db_default="", help_text="What the provider's events say of it."
    )
    delivered_at = models.DateTimeField(null=True, help_text="When the recipient's own server took it.")
    proven_attempts = NumbersField(null=True, help_text="Those that the provider's events prove it has taken.")
    duplicates = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How many more than one of its attempts the provider has taken."
    )

    class Meta(RecipientColumns.Meta):
        verbose_name_plural = "deliveries"
        permissions = [("resolve_delivery", "Can decide about deliveries of unknown fate")]
        constraints = [
            *RecipientColumns.Meta.constraints,
            models.UniqueConstraint(fields=["bucket", "batch", "channel"], name="pgsupervise_delivery_one_per_channel"),
            models.CheckConstraint(
                name="pgsupervise_delivery_claim",
                condition=Q(state=DeliveryState.SENDING, claimed_by__isnull=False)
                | (~Q(state=DeliveryState.SENDING) & Q(claimed_by__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(
                "bucket",
                "recipient",
                "id",
                name="pgsupervise_delivery_ahead",
                condition=Q(state__in=[DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.RETRYING]),
            ),
            models.Index(
                "bucket",
                "recipient",
                "policy",
                "channel",
                "id",
                name="pgsupervise_delivery_in_turn",
                condition=Q(state=DeliveryState.WAITING),
            ),
            # Apart from what may be sent, since nothing walks over these before their time.
            models.Index(
                "state",
                "bucket",
                "not_before",
                "id",
                name="pgsupervise_delivery_asleep",
                condition=Q(state__in=[DeliveryState.WAITING, DeliveryState.RETRYING]),
            ),
            models.Index("bucket", "id", name="pgsupervise_delivery_due", condition=Q(state=DeliveryState.PENDING)),
            models.Index(
                "bucket",
                "tenant",
                "id",
                name="pgsupervise_delivery_turn",
                condition=Q(state=DeliveryState.PENDING) & ~Q(tenant=""),
            ),
            models.Index("id", name="pgsupervise_delivery_standby", condition=Q(state=DeliveryState.STANDBY)),
            models.Index("claimed_by", name="pgsupervise_delivery_claimed", condition=Q(state=DeliveryState.SENDING)),
            models.Index("bucket", "recipient", "id", name="pgsupervise_delivery_recip"),
            models.Index(
                "state",
                "bucket",
                "id",
                name="pgsupervise_delivery_failed",
                condition=Q(state__in=[DeliveryState.REFUSED, DeliveryState.UNKNOWN]),
            ),
            models.Index(
                "bucket",
                "unknown_until",
                name="pgsupervise_delivery_grace",
                condition=Q(state=DeliveryState.UNKNOWN, unknown_until__isnull=False),
            ),
            models.Index("id", name="pgsupervise_delivery_doubled", condition=Q(duplicates__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.recipient} #{self.pk}"


class Clock(models.Model):
    """The event clock: one row. NULL, as in every real deployment, means the database's own `now()`.

    A replay or a test sets it, in the same transaction as the events, to the time up to which all events are in.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    simulated_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "clock"
        constraints = [models.CheckConstraint(name="pgsupervise_clock_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return str(self.simulated_at or "now()")
