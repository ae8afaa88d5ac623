"""`python -m tests.chaos`: a PostgreSQL of its own, two supervisors, seeded faults, an audit after each schedule."""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path

from pgsupervise.django_app.replay.processes import ended_in_order
from tests.chaos.cluster import cluster
from tests.chaos.database import Session
from tests.chaos.evidence import Kind
from tests.chaos.ledger import VARIABLE
from tests.chaos.load import Load
from tests.chaos.play import Played, World, play, tell
from tests.chaos.report import report
from tests.chaos.schedule import ALONE, DEFAULTS_NAME, MIXED, Schedule, all_schedules, defaults, schedule
from tests.chaos.stale import StaleWrites
from tests.database import django_uses, temporary_server
from tests.sendgrid_server import SendGridServer

MIXED_NAME = "mixed"
VIOLATIONS_TOLD = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; return 0 when nothing was broken, else 1."""
    given = _parser().parse_args(arguments)
    schedules = _chosen(given)
    for each in schedules:
        tell(f"seed {given.seed}, {each.name}: {each.seconds:.0f} s, {len(each.faults)} faults planned")
        for fault in each.faults if given.list else []:
            tell(f"  {fault}")
    return 0 if given.list else _run(schedules, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break everything, and audit the rest.")
    names = [*Kind, MIXED_NAME, DEFAULTS_NAME]
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same list of faults")
    parser.add_argument("--minutes", type=float, default=12.0, help="about how long all of it takes")
    parser.add_argument("--only", choices=names, action="append", help="a fault, mixed, or defaults; repeatable")
    parser.add_argument("--seconds", type=float, help="the length of each schedule chosen by --only")
    parser.add_argument("--report", type=Path, help="where to write the report")
    parser.add_argument("--list", action="store_true", help="show the faults that are planned, and do nothing")
    parser.add_argument("--keep", type=Path, help="a new folder to keep the ledger and the logs in")
    return parser


def _chosen(given: argparse.Namespace) -> list[Schedule]:
    if not given.only:
        return all_schedules(given.seed, given.minutes)
    return [_one(name, given.seed, given.seconds) for name in given.only]


def _one(name: str, seed: int, seconds: float | None) -> Schedule:
    if name == DEFAULTS_NAME:
        return defaults(seed)
    if name == MIXED_NAME:
        return schedule(name, seed, seconds or 80.0, MIXED)
    return schedule(name, seed, seconds or 15.0, {Kind(name): ALONE[Kind(name)]})


def _run(schedules: Sequence[Schedule], given: argparse.Namespace) -> int:
    began = time.monotonic()
    with ended_in_order(), _world(given) as (world, environment, folder):
        done = [played for group in _alike(schedules) for played in _play(world, group, environment, folder)]
        postgresql = world.session.demand("SHOW server_version")[0][0]
        world.session.close()
    seconds = time.monotonic() - began
    if given.report:
        given.report.write_text(report(done, seed=given.seed, seconds=seconds, postgresql=postgresql))
    faults, broken = sum(len(each.faults) for each in done), sum(len(each.violations) for each in done)
    tell(f"{faults} faults, {broken} violations in {seconds:.0f} s")
    return 1 if broken else 0


def _alike(schedules: Sequence[Schedule]) -> Iterator[list[Schedule]]:
    """Group what one cluster can play: the options of a supervisor are for its life."""
    for _, group in groupby(schedules, key=lambda each: (each.beat, each.dead_after)):
        yield list(group)


def _play(world: World, group: Sequence[Schedule], environment: dict[str, str], folder: Path) -> Iterator[Played]:
    beat, dead_after = group[0].beat, group[0].dead_after
    with (
        cluster(world.dsn, folder, beat=beat, dead_after=dead_after, environment=environment) as running,
        StaleWrites(running) as stale,
    ):
        for each in group:
            before = stale.total()
            played = play(world, running, each)
            played.stale = stale.total() - before
            _tell(played)
            yield played


@contextmanager
def _world(given: argparse.Namespace) -> Iterator[tuple[World, dict[str, str], Path]]:
    with ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgsupervise-chaos-")))
        ledger = folder / "ledger"
        ledger.mkdir(parents=True)
        server = stack.enter_context(temporary_server())
        dsn = server.create_database("pgsupervise_chaos")
        provider = stack.enter_context(SendGridServer())
        environment = {VARIABLE: str(ledger), "CHAOS_SENDGRID_HOST": provider.url, "no_proxy": "127.0.0.1"}
        os.environ.update(environment)
        stack.enter_context(django_uses(dsn))
        yield World(server, dsn, ledger, provider, Load(given.seed), Session(dsn, "control")), environment, folder


def _tell(played: Played) -> None:
    evidence = played.evidence
    tell(
        f"{played.schedule.name}: {played.seconds:.0f} s, {len(played.faults)} faults, "
        f"{len(evidence.task_rows)} tasks, {len(evidence.event_rows)} events, {len(evidence.batches)} digests, "
        f"{len(played.doubles)} double runs, {len(played.zombies)} zombies, {len(played.violations)} violations"
    )
    for found in played.violations[:VIOLATIONS_TOLD]:
        tell(f"  VIOLATION {found.kind}: {found.text}")
