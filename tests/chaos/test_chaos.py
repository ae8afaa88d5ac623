"""The short part of `make chaos`, and the proof that the suite can fail: a fence broken on purpose is found."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.chaos import ledger
from tests.chaos.audit import audit
from tests.chaos.cluster import monotonic_to_wall
from tests.chaos.collect import Around, Beginning, collect
from tests.chaos.database import Session
from tests.chaos.evidence import Evidence, Fault, Kind, Produced
from tests.chaos.proxy import Direction, Proxy
from tests.chaos.report import DESCRIPTIONS
from tests.lifecycle.supervising import ROOT, Supervised, supervised
from tests.waiting import wait_until

pytestmark = pytest.mark.lifecycle
SEED, SECONDS = 3, 70
DEAD_AFTER = 2.5
ENQUEUE = """
INSERT INTO pgsupervise_task (bucket, name, args)
VALUES (0, 'tests.chaos.project.tasks.slower_again', jsonb_build_array(1, %s::float8, %s::float8))
"""
IMPATIENT = "UPDATE pgsupervise_worker SET dead_after = 2.5 WHERE dead_after = 60 RETURNING id"
GONE = "SELECT NOT EXISTS (SELECT FROM pgsupervise_task)"


def test_all_faults_mixed_break_no_promise(tmp_path: Path) -> None:
    """The command starts supervisors, a server and threads; so it has a process to itself."""
    report = tmp_path / "report.md"
    command = [sys.executable, "-m", "tests.chaos", "--only", "mixed", "--seed", str(SEED), "--seconds", str(SECONDS)]
    ran = subprocess.run(
        [*command, "--report", str(report)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    counts = dict(re.findall(r"^\| (.+) \| (\d+) \|$", report.read_text(), re.MULTILINE))
    assert [kind for kind, text in DESCRIPTIONS.items() if int(counts[text]) == 0] == []


@dataclass(frozen=True, slots=True)
class Late:
    """What became of a result that was written after others had taken over."""

    evidence: Evidence
    refused: int
    """By the counter of the supervisor that was late."""


@pytest.fixture
def session(own_dsn: str) -> Iterator[Session]:
    opened = Session(own_dsn, "test")
    yield opened
    opened.close()


def late_result(dsn: str, session: Session, folder: Path, settings: str) -> Late:
    """Let A finish a task while nothing of it reaches the database, and its result arrive while B runs the task again.

    A beats so rarely that it does not learn of its burial before its result arrives: that one is to be refused by its
    claim, and by nothing else.
    """
    book = folder / "ledger"
    logs = folder / "logs"
    book.mkdir()
    logs.mkdir()
    how: dict[str, Any] = {"partitions": 1, "settings": settings, "environment": {ledger.VARIABLE: str(book)}}
    session.demand(ENQUEUE, 1.0, 4.0)
    began = time.monotonic()
    with Proxy(dsn) as proxy, supervised(proxy.dsn, logs, "--beat", "20", "--dead-after", "60", **how) as late:
        wait_until(lambda: ledger.read(book), 60, "A runs the task")
        stalled = time.monotonic()
        proxy.stall(Direction.TO_SERVER, 120)
        with supervised(dsn, logs, "--beat", "0.5", "--dead-after", str(DEAD_AFTER), **how) as other:
            session.demand(IMPATIENT)
            wait_until(lambda: len(ledger.read(book)) == 2, 60, "B runs it again")
            assert ledger.read(book)[0].ended, "A has finished it, in vain"
            proxy.release()
            fault = Fault(Kind.LONG_STALL, "A", stalled, time.monotonic())
            wait_until(lambda: all(run.ended for run in ledger.read(book)), 60, "B has run it")
            wait_until(lambda: session.demand(GONE) == [(True,)], 60, "it is DONE")
            wait_until(lambda: "stale results dropped" in late.log + other.log, 60, "somebody came too late")
            refused = refusals(late)
            evidence = _collected(session, book, fault, began, {"A": late, "B": other})
        late.kill_group()
    return Late(evidence, refused)


def _collected(
    session: Session, book: Path, fault: Fault, began: float, supervisors: dict[str, Supervised]
) -> Evidence:
    around = Around(
        dead_after=DEAD_AFTER,
        wall_ahead=monotonic_to_wall(),
        folder=book,
        members={UUID(each.instance()): name for name, each in supervisors.items()},
        faults=[fault],
        tasks=Produced(frozenset({1})),
    )
    return collect(session, Beginning(began), around)


def refusals(supervisor: Supervised) -> int:
    """Return how many results of a supervisor were refused."""
    _, metrics = supervisor.get("/metrics")
    (line,) = (
        line for line in metrics.splitlines() if line.startswith('pgsupervise_stale_writes_total{write="finish"}')
    )
    return int(float(line.split()[1]))


def test_a_result_that_comes_after_a_reclaim_is_refused_and_counted(
    own_dsn: str, session: Session, tmp_path: Path
) -> None:
    late = late_result(own_dsn, session, tmp_path, "tests.chaos.settings")
    assert audit(late.evidence) == []
    assert len(late.evidence.runs) == 2
    assert late.refused == 1


def test_the_audit_finds_a_fence_that_was_broken_on_purpose(own_dsn: str, session: Session, tmp_path: Path) -> None:
    late = late_result(own_dsn, session, tmp_path, "tests.chaos.broken_settings")
    assert {violation.kind for violation in audit(late.evidence)} == {"phantom DONE"}
    assert late.refused == 0
