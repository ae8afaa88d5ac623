"""Tasks: the hot table of what is to be done, and the archive of what has ended."""

from django.db import models
from django.db.models import Q
from django.db.models.lookups import Exact

from pgsupervise.partitions.states import TaskState

from .fields import BucketField, KeyBucket, TaskStateField, TransactionNow

LIVE = (TaskState.SCHEDULED, TaskState.READY, TaskState.IN_PROGRESS)
ENDED = (TaskState.DONE, TaskState.DEAD, TaskState.CANCELLED)


def choices(states: tuple[TaskState, ...]) -> list[tuple[str, str]]:
    """Return states as Django's choices."""
    return [(state.value, state.value) for state in states]


def json_is(field: str, kind: str) -> Q:
    """Return the condition that a JSON field holds an "array" or an "object"."""
    found = models.Func(models.F(field), function="jsonb_typeof", output_field=models.TextField())
    return Q(Exact(found, models.Value(kind)))


class TaskColumns(models.Model):
    """What live and finished tasks have in common."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=200, help_text="Dotted name of the function.")
    key = models.CharField(max_length=320, default="", blank=True, db_default="", help_text="Decides the bucket.")
    args = models.JSONField(default=list, db_default=models.Value([], models.JSONField()), blank=True)
    kwargs = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    priority = models.SmallIntegerField(default=0, db_default=0, help_text="Lower runs first.")
    max_attempts = models.PositiveSmallIntegerField(default=5, db_default=5)
    attempt = models.PositiveIntegerField(default=0, db_default=0, help_text="Runs begun; a crash is not one of them.")
    crashes = models.PositiveIntegerField(default=0, db_default=0, help_text="Workers that died while running it.")
    run_at = models.DateTimeField(db_default=TransactionNow(), help_text="Not before this time.")
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    error = models.TextField(default="", blank=True, db_default="", help_text="The last failure in one line.")
    traceback = models.TextField(default="", blank=True, db_default="")

    class Meta:
        abstract = True


class Task(TaskColumns):
    """A task that is to be done or is being done.

    Creating a row is enqueueing: `Task.objects.create(name=..., args=[...])` is equivalent to `.enqueue()`.
    """

    bucket = BucketField(key_field="key")
    state = TaskStateField(
        max_length=11, choices=choices(LIVE), default=TaskState.READY, db_default=TaskState.READY.value
    )
    claim_token = models.BigIntegerField(default=0, db_default=0, editable=False)
    claimed_by = models.UUIDField(null=True, editable=False)
    claimed_at = models.DateTimeField(null=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False, help_text="When `cancel()` asked to end it.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="pgsupervise_task_bucket_is_of_key", condition=Q(key="") | Q(bucket=KeyBucket("key"))
            ),
            models.CheckConstraint(name="pgsupervise_task_bucket_range", condition=Q(bucket__range=(0, 255))),
            models.CheckConstraint(name="pgsupervise_task_state", condition=Q(state__in=LIVE)),
            models.CheckConstraint(
                name="pgsupervise_task_claim",
                condition=Q(state=TaskState.IN_PROGRESS, claimed_by__isnull=False, claimed_at__isnull=False)
                | (~Q(state=TaskState.IN_PROGRESS) & Q(claimed_by__isnull=True, claimed_at__isnull=True)),
            ),
            models.CheckConstraint(name="pgsupervise_task_max_attempts", condition=Q(max_attempts__gte=1)),
            # Rows are written by raw SQL too: one that could not be called is refused to its writer.
            models.CheckConstraint(name="pgsupervise_task_args", condition=json_is("args", "array")),
            models.CheckConstraint(name="pgsupervise_task_kwargs", condition=json_is("kwargs", "object")),
        ]
        indexes = [
            models.Index("bucket", "priority", "id", name="pgsupervise_task_ready", condition=Q(state=TaskState.READY)),
            models.Index("bucket", "run_at", name="pgsupervise_task_scheduled", condition=Q(state=TaskState.SCHEDULED)),
            models.Index("claimed_by", name="pgsupervise_task_claimed", condition=Q(state=TaskState.IN_PROGRESS)),
            models.Index("id", name="pgsupervise_task_cancel", condition=Q(cancel_requested_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class FinishedTask(TaskColumns):
    """A task that has ended: append-only, partitioned by the day it finished, dropped a day at a time."""

    bucket = BucketField(key_field="key")
    state = models.CharField(max_length=11, choices=choices(ENDED))
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField()
    worker = models.UUIDField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(name="pgsupervise_finishedtask_state", condition=Q(state__in=ENDED))]
        indexes = [
            models.Index("id", name="pgsupervise_finished_dead", condition=Q(state=TaskState.DEAD)),
            # By the time, not the id: what finishes is last in its index then, and costs half as much to enter.
            models.Index("name", "finished_at", name="pgsupervise_finished_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"
