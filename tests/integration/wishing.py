"""A bucket whose recipients have wishes: events in, seals and sends as the workers do them, without the workers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg

from pgsupervise.django_app import channels, preferences_sealing
from pgsupervise.django_app.policies import Policy, register, registry
from pgsupervise.partitions import deliveries
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.marks import Marks
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.flushing import Flushing
from pgsupervise.supervisor.outcomes import Done
from pgsupervise.supervisor.project import PolicySpec, Project
from pgsupervise.supervisor.second_look import not_now
from tests.integration.test_notification_rows import ADA, BUCKET, NOON
from tests.integration.world import owner_of

HOUR = timedelta(hours=1)


def policy(name: str, **changes: Any) -> Policy:
    """Register a policy with a window of an hour that may go by inbox and by SendGrid."""
    return register(Policy(**{"name": name, "window": HOUR, "channel": ["inbox", "sendgrid"], **changes}))


def project_of(minimums: dict[str, int], hosts: dict[str, str]) -> Project:
    """Return the registered policies as the composition root hands them over."""
    return Project(
        conninfo={},
        tasks={},
        run_task=lambda task: Done(),
        policies={
            name: PolicySpec(
                rule=known.rule(),
                is_bare=not any(map(channels.takes, known.channels)),
                cap=known.cap,
                required=known.required,
                leaves_out_own=known.leaves_out_own,
                minimum=minimums.get(name, 0),
                host=hosts.get(name, ""),
            )
            for name, known in registry.items()
        },
        render=preferences_sealing.render,
        channels=channels.known(),
        longest_send=timedelta(seconds=1),
        close_connections=lambda: None,
        objection=preferences_sealing.objection,
        time_zone="UTC",
    )


class Wishing:
    """The owner of ADA's bucket, and the event clock."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self.connection = connect()
        self.owner, self.epochs = owner_of(self.connection, BUCKET)
        self.minimums: dict[str, int] = {}
        self.hosts: dict[str, str] = {}

    def event(
        self, policy: str, at: datetime = NOON, *, recipient: str = ADA, tenant: str = "", actor: str = "Bob"
    ) -> int:
        """Insert an event as `notify()` does."""
        row = self.connection.execute(
            """INSERT INTO pgsupervise_event (bucket, policy, recipient, tenant, actor, occurred_at)
            VALUES (%s, %s, %s, %s, %s, %s) RETURNING id""",
            [bucket_of(recipient), policy, recipient, tenant, actor, at],
        ).fetchone()
        assert row
        number: int = row[0]
        return number

    def flush(self, at: datetime) -> None:
        """Fold and seal at a time of the event clock."""
        self.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [at])
        Flushing(
            project_of(self.minimums, self.hosts),
            self.connection,
            owner=self.owner,
            bucket=BUCKET,
            epoch=self.epochs[BUCKET],
            marks=Marks(),
        ).run(due=True, may_go_on=lambda: True)

    def clock(self, at: datetime) -> None:
        """Set the event clock."""
        self.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [at])

    def claim(self, after: int = 0) -> list[ClaimedDelivery]:
        """Claim what is due by any channel."""
        claim = deliveries.DeliveryClaim(BUCKET, self.epochs[BUCKET], list(channels.known()), 100, after, ripe=True)
        (claimed,) = deliveries.claim_deliveries(self.connection, self.owner, [claim])
        return claimed

    def look_again(self, claimed: list[ClaimedDelivery]) -> dict[int, str]:
        """Do what is done just before sending; return the reasons of what is not sent now, by id."""
        found = not_now(project_of({}, self.hosts), self.connection, BUCKET, claimed)
        key = (BUCKET, self.epochs[BUCKET])
        written = deliveries.finish_deliveries(self.connection, self.owner, {key: found}) if found else set()
        assert written == {sent.delivery.id for sent in found}
        return {sent.delivery.id: sent.error or f"{sent.state} until {sent.until}" for sent in found}

    def rows(self, statement: str) -> list[Any]:
        """Return the rows of a statement, those of a single column as values."""
        found = self.connection.execute(statement.encode()).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    def events(self) -> list[Any]:
        """Return the state and the reason of each event."""
        return self.rows("SELECT state, reason FROM pgsupervise_event ORDER BY id")

    def batches(self) -> list[Any]:
        """Return the state and the reason of each batch."""
        return self.rows("SELECT state, reason FROM pgsupervise_batch ORDER BY id")

    def sent_by(self) -> list[Any]:
        """Return the channel of each delivery."""
        return self.rows("SELECT channel FROM pgsupervise_delivery ORDER BY id")
