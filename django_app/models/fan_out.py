"""Fan-out: who follows what, and how far each run has come that tells the followers."""

from enum import StrEnum
from typing import Any

from django.db import models
from django.db.models import Q

from .fields import BucketField, KeyBucket, TransactionNow
from .notification import EARLIEST, LATEST


class FanOutState(StrEnum):
    """Whether a run still has followers to tell."""

    RUNNING = "RUNNING"
    DONE = "DONE"


class FanOut(models.Model):
    """One call of `notify_followers()`: what is told to each follower, and how far that has come.

    The row is all that the caller's transaction writes, whatever the number of followers. Its columns are those of the
    events, which are copied from here.
    """

    id = models.BigAutoField(primary_key=True)
    bucket = BucketField(key_field="name")
    name = models.CharField(max_length=200, help_text="Unique: a second call with it does nothing.")
    policy = models.CharField(max_length=100)
    tenant = models.CharField(max_length=100, default="", blank=True, db_default="")
    key = models.CharField(max_length=500, default="", blank=True, db_default="")
    actor = models.CharField(max_length=320, default="", blank=True, db_default="")
    object = models.CharField(max_length=500, default="", blank=True, db_default="")
    data: Any = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    about_type = models.CharField(max_length=200, default="", blank=True, db_default="")
    about_id = models.CharField(max_length=200, default="", blank=True, db_default="")
    occurred_at = models.DateTimeField(db_default=TransactionNow(), help_text="When all of its events occurred.")
    source = models.CharField(
        max_length=100, default="", blank=True, db_default="", help_text="Who gives the followers."
    )
    argument: Any = models.JSONField(null=True, blank=True, help_text="What the source is asked for.")
    state = models.CharField(
        max_length=7,
        choices=[(state.value, state.value) for state in FanOutState],
        default=FanOutState.RUNNING,
        db_default=FanOutState.RUNNING.value,
    )
    place = models.TextField(default="", blank=True, db_default="", help_text="Primary key of the last follower told.")
    slices = models.PositiveIntegerField(default=0, db_default=0, help_text="How many have been written.")
    link = models.PositiveIntegerField(default=0, db_default=0, help_text="Which of its tasks goes on with it.")
    told = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Followers who got an event.")
    left_out = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="Those without a usable recipient, and those who had it already."
    )
    error = models.TextField(default="", blank=True, db_default="", help_text="Why the last slice could not be told.")
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="pgsupervise_fanout_bucket", condition=Q(bucket=KeyBucket("name"))),
            models.UniqueConstraint(fields=["bucket", "name"], name="pgsupervise_fanout_one_run"),
            models.CheckConstraint(
                name="pgsupervise_fanout_state",
                condition=Q(state=FanOutState.RUNNING, finished_at__isnull=True)
                | Q(state=FanOutState.DONE, finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="pgsupervise_fanout_occurred_at", condition=Q(occurred_at__range=(EARLIEST, LATEST))
            ),
        ]
        indexes = [models.Index("id", name="pgsupervise_fanout_running", condition=Q(state=FanOutState.RUNNING))]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class Subscription(models.Model):
    """One recipient follows one object, which is named by its model's label and its primary key."""

    id = models.BigAutoField(primary_key=True)
    bucket = BucketField(key_field="recipient")
    recipient = models.CharField(max_length=320)
    object_type = models.CharField(max_length=200, help_text="Label of the object's model.")
    object_id = models.CharField(max_length=200, help_text="Its primary key.")
    tenant = models.CharField(max_length=100, default="", blank=True, db_default="")
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(name="pgsupervise_subscription_bucket", condition=Q(bucket=KeyBucket("recipient"))),
            models.UniqueConstraint(
                fields=["bucket", "recipient", "object_type", "object_id", "tenant"],
                name="pgsupervise_subscription_one",
            ),
        ]
        indexes = [models.Index("object_type", "object_id", "tenant", "id", name="pgsupervise_followers")]

    def __str__(self) -> str:
        return f"{self.recipient} follows {self.object_type} {self.object_id}"
