"""Processes and what they own."""

from django.db import models
from django.db.models import Q

from pgsupervise.partitions.states import WorkerState


class Worker(models.Model):
    """One process of a supervisor from its boot to its end; `beat_at` is its heartbeat, on the database's clock."""

    id = models.UUIDField(primary_key=True, help_text="Random for each boot: never a host name or a pid.")
    supervisor = models.UUIDField(help_text="The supervisor's boot.")
    kind = models.CharField(max_length=10)
    slot = models.PositiveSmallIntegerField()
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    partitions = models.PositiveSmallIntegerField()
    processes = models.PositiveSmallIntegerField()
    dead_after = models.FloatField(default=10, db_default=10, help_text="Seconds of silence until others call it dead.")
    state = models.CharField(max_length=8, choices=[(state.value, state.value) for state in WorkerState])
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    end_reason = models.TextField(default="", db_default="")
    running_task = models.BigIntegerField(null=True, help_text="The task it was running at its last beat.")

    class Meta:
        constraints = [
            models.CheckConstraint(name="pgsupervise_worker_state", condition=Q(state__in=[*WorkerState])),
        ]

    def __str__(self) -> str:
        return f"{self.kind}-{self.slot} on {self.host} (pid {self.pid})"


class Lease(models.Model):
    """Who owns a bucket. The primary key makes two owners impossible; the epoch fences a former one's writes.

    Bucket -1 is no bucket: it is the seat of the leading keeper, owned and fenced like a bucket.
    """

    bucket = models.SmallIntegerField(primary_key=True)
    owner = models.ForeignKey(
        Worker, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="leases"
    )
    epoch = models.BigIntegerField(default=0, db_default=0)
    changed_at = models.DateTimeField(help_text="When it was acquired or released last.")

    class Meta:
        constraints = [models.CheckConstraint(name="pgsupervise_lease_bucket", condition=Q(bucket__range=(-1, 255)))]

    def __str__(self) -> str:
        return f"bucket {self.bucket}"
