"""A worker's turns at its buckets, with the policies that a test registers, at the times that it says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg

from pgsupervise.django_app.policies import registry
from pgsupervise.django_app.policy_specs import spec_of
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.marks import Marks
from pgsupervise.supervisor.flushing import Flushing
from tests.integration.test_flushing import PROJECT
from tests.integration.world import owner_of


class Worker:
    """The owner of these recipients' buckets; each of its turns begins at the marks of the last one."""

    def __init__(self, connect: Callable[[], psycopg.Connection], *recipients: str) -> None:
        self.connection = connect()
        self.buckets = sorted({bucket_of(recipient) for recipient in recipients})
        self.owner, self.epochs = owner_of(self.connection, *self.buckets)
        self.marks = {bucket: Marks() for bucket in self.buckets}
        specs = {name: replace(spec_of(policy), is_bare=True) for name, policy in registry.items()}
        self.project = replace(PROJECT, policies=specs)

    def turn(self, at: datetime | None) -> None:
        """Fold and seal what there is at a time; None is the database's now."""
        self.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [at])
        for bucket in self.buckets:
            Flushing(
                self.project,
                self.connection,
                owner=self.owner,
                bucket=bucket,
                epoch=self.epochs[bucket],
                marks=self.marks[bucket],
            ).run(due=True, may_go_on=lambda: True)

    def digests(self) -> list[list[int]]:
        """Return the items of the digests, in the order in which these were made; of an empty batch none is."""
        rows = self.connection.execute("SELECT payload->'item_ids' FROM pgsupervise_delivery ORDER BY id")
        return [ids for (ids,) in rows if ids]

    def left_out(self) -> list[tuple[int, str]]:
        """Return the events that are in no batch, and why."""
        rows = self.connection.execute(
            "SELECT id, reason FROM pgsupervise_event WHERE state = 'FILTERED' AND reason <> 'flush' ORDER BY id"
        )
        return [(event_id, reason) for event_id, reason in rows]

    def open_batches(self) -> list[Any]:
        """Return policy, tenant, key and end of the batches that still take events."""
        rows = self.connection.execute(
            "SELECT policy, tenant, key, closes_at FROM pgsupervise_batch WHERE state = 'OPEN' ORDER BY id"
        )
        return list(rows)
