"""Workers' lives, a turn at a time: they own buckets by real leases, and work as the supervisor's loop does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from pgsupervise.django_app import composition
from pgsupervise.partitions import deliveries, events, leases, reclaim, workers
from pgsupervise.partitions.connection import is_lost
from pgsupervise.partitions.deliveries import DeliveryClaim, SentDelivery
from pgsupervise.partitions.errors import LeaseLostError
from pgsupervise.partitions.marks import Marks
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.flushing import Flushing
from pgsupervise.supervisor.project import Project
from pgsupervise.supervisor.second_look import not_now
from pgsupervise.supervisor.senders import Job, Senders
from tests.integration.world import worker

from .fragile import Fragile, Trouble, end_session

CHUNK = 1000


@dataclass
class Owner:
    """A worker and the epoch under which it has, or had, a bucket, and where it goes on reading."""

    id: UUID
    bucket: int
    epoch: int
    marks: Marks = field(default_factory=Marks)


class Owners:
    """Who owns which bucket. A worker of the past may go on, as long as its connection holds."""

    def __init__(self, dsn: str, control: psycopg.Connection, buckets: Sequence[int]) -> None:
        self.control = control
        self.now: dict[int, Owner] = {}
        self._dsn = dsn
        self._connections: list[Fragile] = []
        self._project: Project | None = None
        for bucket in buckets:
            self.take_over(bucket)

    @property
    def project(self) -> Project:
        """The project as the composition root hands it over."""
        if self._project is None:
            self._project = composition.assemble()
        return self._project

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.close()

    def take_over(self, bucket: int, *, is_another: bool = True) -> Owner:
        """Let the owner stop, or give its bucket back; who acquires it then has the next epoch."""
        former = self.now.get(bucket)
        if former and is_another:
            workers.stop_worker(self.control, former.id, "stopped")
            leases.free_leases_of_the_dead(self.control)
            reclaim.reclaim(self.control, safe_channels=["inbox"], resend_policies=[])
        elif former:
            leases.release_leases(self.control, former.id, [bucket])
        identity = worker(self.control) if former is None or is_another else former.id
        (epoch,) = leases.acquire_leases(self.control, identity, [bucket]).values()
        # A worker that gets its bucket back has another epoch, and so begins at the start.
        self.now[bucket] = Owner(identity, bucket, epoch)
        return self.now[bucket]

    def connection(self, depth: int = 0) -> Fragile:
        """Return a connection for a worker; one that is at work while another one is needs a deeper one."""
        while len(self._connections) <= depth:
            self._connections.append(Fragile.connect(self._dsn, autocommit=True))
        if self._connections[depth].closed:
            self._connections[depth] = Fragile.connect(self._dsn, autocommit=True)
        return self._connections[depth]

    def flush(
        self,
        owner: Owner,
        troubles: Sequence[Trouble] = (),
        *,
        may_go_on: Callable[[], bool] = lambda: True,
        depth: int = 0,
    ) -> bool:
        """Fold and seal as the flusher does; return whether it came to its end without a loss of lease or session."""
        connection = self.connection(depth)
        connection.expect(troubles)
        try:
            probes = events.probe_notifications(
                connection,
                owner.id,
                {owner.bucket: owner.marks},
                policies=list(self.project.policies),
                safe=["inbox"],
                unsafe=[],
            )
            for probe in probes:
                Flushing(
                    self.project,
                    connection,
                    owner=owner.id,
                    bucket=owner.bucket,
                    epoch=owner.epoch,
                    marks=owner.marks,
                ).run(due=probe.due, may_go_on=may_go_on)
        except LeaseLostError:
            assert owner is not self.now[owner.bucket], "the owner was refused"
            return False
        except psycopg.Error as error:
            if not is_lost(error):
                raise
            connection.close()
            return False
        finally:
            connection.troubles = []
        return owner is self.now[owner.bucket]

    def end_session(self, owner: Owner, is_killed: bool) -> None:
        """End the session of a worker that is at work; where it is killed, another one takes over."""
        end_session(self.control, self.connection())
        if is_killed:
            self.take_over(owner.bucket)

    def claim(self, owner: Owner) -> list[ClaimedDelivery]:
        """Claim what is due to be sent."""
        connection = self.connection()
        connection.expect(())
        claim = DeliveryClaim(owner.bucket, owner.epoch, list(self.project.channels), CHUNK, ripe=True)
        (claimed,) = deliveries.claim_deliveries(connection, owner.id, [claim])
        return claimed

    def send(self, owner: Owner, claimed: Sequence[ClaimedDelivery]) -> list[SentDelivery]:
        """Look again, send, and write down what became of it; return that, if it could be written."""
        results = not_now(self.project, self.connection(), owner.bucket, claimed)
        skipped = {result.delivery.id for result in results}
        wanted = [delivery for delivery in claimed if delivery.id not in skipped]
        results += Senders(self.project, 0, lambda: True).send_here(Job(owner.bucket, owner.epoch, wanted))
        written = deliveries.finish_deliveries(
            self.connection(), owner.id, {(owner.bucket, owner.epoch): results} if results else {}
        )
        return [result for result in results if result.delivery.id in written]
