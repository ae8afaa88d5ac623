"""Plays one schedule: load and faults together, then peace until all is done, then the audit."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from pgsupervise.django_app.embedded import Server
from tests.chaos import limits
from tests.chaos.audit import audit
from tests.chaos.causes import DoubleRun, double_runs
from tests.chaos.cluster import Cluster, monotonic_to_wall
from tests.chaos.collect import HURRY, LAST_BATCH, LEFT, Around, Beginning, collect
from tests.chaos.database import Session
from tests.chaos.evidence import Evidence, Fault, Kind, Violation
from tests.chaos.faults import Injector
from tests.chaos.load import Load
from tests.chaos.schedule import Schedule
from tests.chaos.watch import Gap, Reclaim, Watch
from tests.chaos.zombies import Zombie, zombies
from tests.sendgrid_server import SendGridServer
from tests.waiting import wait_until

PEACE_SECONDS = 60.0
STEP_SECONDS = 0.02
PROGRESS_SECONDS = 5.0
LAST_BREATH_SECONDS = 0.5
"""Between a process's last word in its row and its end."""
OWNED = """
SELECT count(*) = 256 AND count(DISTINCT w.supervisor) = 2 FROM pgsupervise_lease l
JOIN pgsupervise_worker w ON w.id = l.owner_id AND w.state = 'ACTIVE' WHERE l.bucket >= 0
"""


@dataclass(frozen=True, slots=True)
class World:
    """What all schedules share."""

    server: Server
    dsn: str
    folder: Path
    """The ledger's."""
    provider: SendGridServer
    load: Load
    session: Session


@dataclass(slots=True)
class Played:
    """What became of a schedule."""

    schedule: Schedule
    faults: list[Fault]
    evidence: Evidence
    violations: list[Violation]
    doubles: list[DoubleRun]
    zombies: list[Zombie]
    reclaims: list[Reclaim]
    gaps: list[Gap]
    orphans: list[float]
    seconds: float = 0.0
    stale: Counter[str] = field(default_factory=Counter)

    def count(self) -> Counter[Kind]:
        """Return how many faults of each kind befell somebody."""
        return Counter(fault.kind for fault in self.faults)


def play(world: World, cluster: Cluster, schedule: Schedule) -> Played:
    """Play a schedule on a running cluster."""
    wait_until(lambda: _both_own(world, cluster), PEACE_SECONDS, "both supervisors own buckets")
    beginning = _begin(world)
    with Watch(world.dsn, schedule.dead_after) as watch:
        injector = Injector(cluster, world.server, world.dsn, world.session, watch)
        world.load.begin()
        try:
            _rain(schedule, injector, cluster, beginning.at)
        finally:
            injector.finish()
            world.load.end()
        left = _wait_for_peace(world, cluster)
    played = _judge(world, cluster, schedule, watch, injector.injected, beginning)
    if left:
        played.violations.insert(0, Violation("not drained", f"after {PEACE_SECONDS:g} s of peace: {left}"))
    played.seconds = time.monotonic() - beginning.at
    return played


def _both_own(world: World, cluster: Cluster) -> bool:
    cluster.keep_running()
    return world.session.ask(OWNED) == [(True,)]


def _begin(world: World) -> Beginning:
    batch = world.session.demand(LAST_BATCH)[0][0]
    task, event = world.load.last()
    return Beginning(time.monotonic(), task, event, batch, len(world.provider.accepted))


def _rain(schedule: Schedule, injector: Injector, cluster: Cluster, began: float) -> None:
    planned = list(schedule.faults)
    told = 0.0
    while (now := time.monotonic() - began) < schedule.seconds:
        while planned and planned[0].at <= now:
            injector.inject(planned.pop(0))
        injector.step()
        cluster.keep_running()
        if now >= told:
            told = now + PROGRESS_SECONDS
            tell(f"{schedule.name}: {now:.0f} of {schedule.seconds:.0f} s, {len(injector.injected)} faults")
        time.sleep(STEP_SECONDS)


def _wait_for_peace(world: World, cluster: Cluster) -> str:
    """Wait until nothing is left to do; return what is left all the same."""
    deadline = time.monotonic() + PEACE_SECONDS
    while True:
        cluster.keep_running()
        world.session.ask(HURRY)
        left = world.session.ask(LEFT)
        if left == [(0, 0, 0, 0)]:
            return ""
        if time.monotonic() > deadline:
            return f"tasks, events, batches, deliveries: {left}"
        time.sleep(0.1)


def _judge(
    world: World, cluster: Cluster, schedule: Schedule, watch: Watch, faults: list[Fault], beginning: Beginning
) -> Played:
    tasks, events = world.load.produced()
    wall_ahead = monotonic_to_wall()
    around = Around(
        dead_after=schedule.dead_after,
        wall_ahead=wall_ahead,
        folder=world.folder,
        members=cluster.names(),
        faults=faults,
        tasks=tasks,
        events=events,
        answers=list(world.load.changes.answers),
        mails=list(world.provider.accepted),
    )
    evidence = collect(world.session, beginning, around)
    time.sleep(LAST_BREATH_SECONDS)
    evidence = replace(evidence, alive=cluster.pids())
    now = time.monotonic()
    orphans = [life for _, life in cluster.lives() if (life.orphaned or 0.0) > beginning.at]
    violations = [
        *audit(evidence),
        *watch.violations,
        *limits.violations(schedule, watch.reclaims, watch.gaps, orphans, now),
    ]
    return Played(
        schedule,
        faults,
        evidence,
        violations,
        double_runs(evidence),
        zombies(evidence, [life for _, life in cluster.lives()], wall_ahead),
        watch.reclaims,
        watch.gaps,
        [limits.orphaned_for(life, now) for life in orphans],
    )


def tell(line: str) -> None:
    """Tell the terminal how far things are."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
