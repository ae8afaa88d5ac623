"""Holds the tasks' evidence against what is promised. A pure function: its own tests hand it made-up evidence."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.audit_digests import audit_digests
from tests.chaos.causes import Processes, cause, double_runs, runs_by_number
from tests.chaos.evidence import Evidence, Process, Produced, TaskRow, Violation
from tests.chaos.ledger import Run

CLOCKS_APART = 0.05
"""Seconds: the tables' times are the database's, the ledger's are the machine's monotonic clock."""
POISON_LIMIT = 3


def audit(evidence: Evidence) -> list[Violation]:
    """Return every broken promise."""
    return [
        *_conserved(evidence),
        *_ended_well(evidence),
        *_really_done(evidence),
        *_doubles_explained(evidence),
        *_in_order(evidence),
        *_one_at_a_time(evidence),
        *_dead_stay_dead(evidence),
        *_ends_explained(evidence),
        *audit_digests(evidence),
    ]


def expected(produced: Produced, present: set[int]) -> frozenset[int]:
    """Return the numbers that must be there: also those whose COMMIT was cut off, if it turns out to have succeeded."""
    return produced.committed.union(*(group for group in produced.uncertain if group & present))


def _conserved(evidence: Evidence) -> Iterator[Violation]:
    rows: dict[int, int] = defaultdict(int)
    for row in evidence.task_rows:
        rows[row.number] += 1
    wanted = expected(evidence.tasks, set(rows))
    ran = {run.number for run in evidence.runs}
    for number in sorted(wanted - set(rows)):
        yield Violation("lost task", f"task {number} was committed and has no row")
    for number in sorted(number for number, count in rows.items() if count > 1):
        yield Violation("two rows", f"task {number} has {rows[number]} rows")
    for number in sorted(ran - set(rows) - wanted):
        yield Violation("ran without a row", f"task {number} ran, and its transaction never committed")
    for number in sorted(set(rows) - wanted):
        yield Violation("unwanted row", f"task {number} was rolled back and has a row")
    for number in sorted(wanted & set(rows) - ran):
        yield Violation("never ran", f"task {number} has no run in the ledger")


def _ended_well(evidence: Evidence) -> Iterator[Violation]:
    runs = runs_by_number(evidence.runs)
    for row in evidence.task_rows:
        if row.state == "DEAD" and row.crashes >= POISON_LIMIT:
            if len(runs[row.number]) < POISON_LIMIT:
                yield Violation("dead too soon", f"task {row.number} is DEAD after {runs[row.number]}")
            continue
        if row.state != "DONE":
            yield Violation("not done", f"task {row.number} is {row.state} ({row.crashes} crashes)")
        # None of these tasks raises, and no death burns an attempt.
        if row.attempt != 1 or row.attempt > row.most_attempts:
            yield Violation("attempts", f"task {row.number} shows attempt {row.attempt}, and none of its runs raised")


def _really_done(evidence: Evidence) -> Iterator[Violation]:
    """The worker that the archive names has run the task to its end before it says so."""
    workers = {process.id: process for process in evidence.processes}
    runs = runs_by_number(evidence.runs)
    processes = Processes(evidence.processes)
    for row in evidence.task_rows:
        if row.state != "DONE":
            continue
        worker = workers.get(row.worker) if row.worker else None
        if worker is None:
            yield Violation("phantom DONE", f"task {row.number} is DONE by the unknown worker {row.worker}")
            continue
        mine = [run for run in runs.get(row.number, []) if processes.of(run) == worker]
        if not any(run.ended is not None and run.ended <= (row.ended or 0) + CLOCKS_APART for run in mine):
            yield Violation(
                "phantom DONE",
                f"task {row.number} was DONE at {row.ended} by pid {worker.pid}, whose runs of it are {mine}",
            )


def _doubles_explained(evidence: Evidence) -> Iterator[Violation]:
    for double in double_runs(evidence):
        if double.cause is None:
            yield Violation("unexplained double run", f"{double.first} and then {double.second}")


def _in_order(evidence: Evidence) -> Iterator[Violation]:
    """No run of a key's task begins before each earlier task of that key has been run to its end."""
    runs = runs_by_number(evidence.runs)
    by_key: dict[str, list[TaskRow]] = defaultdict(list)
    for row in sorted(evidence.task_rows, key=lambda row: row.number):
        if row.key and row.state != "DEAD":
            by_key[row.key].append(row)
    for key, rows in by_key.items():
        reached, before = 0.0, 0
        for row in rows:
            mine = runs.get(row.number, [])
            if mine and mine[0].began < reached:
                text = f"key {key}: {mine[0]} began {reached - mine[0].began:.3f} s before the first end of {before}"
                yield Violation("order", text)
            done = min((run.ended for run in mine if run.ended is not None), default=0.0)
            if done > reached:
                reached, before = done, row.number


def _one_at_a_time(evidence: Evidence) -> Iterator[Violation]:
    """No two processes run tasks of a bucket at once. A process has its buckets until it ends or is buried."""
    buckets = {row.number: row.bucket for row in evidence.task_rows}
    processes = Processes(evidence.processes)
    by_bucket: dict[int, list[tuple[float, float, Run]]] = defaultdict(list)
    for run in evidence.runs:
        if run.number in buckets:
            process = processes.of(run)
            ended = run.ended if run.ended is not None else float("inf")
            let_go = process.ended if process and process.ended is not None else float("inf")
            by_bucket[buckets[run.number]].append((run.began, min(ended, let_go), run))
    for bucket, spans in by_bucket.items():
        last: tuple[float, Run] = (0.0, Run(0, 0, 0.0, 0.0))
        for began, ended, run in sorted(spans, key=lambda span: span[0]):
            if began < last[0] and run.pid != last[1].pid:
                yield Violation("overlap", f"bucket {bucket}: {run} began during {last[1]}, held until {last[0]}")
            last = max(last, (ended, run), key=lambda span: span[0])


def _dead_stay_dead(evidence: Evidence) -> Iterator[Violation]:
    processes = Processes(evidence.processes)
    for run in evidence.runs:
        process = processes.of(run)
        if process and process.ended is not None and run.began > process.ended + CLOCKS_APART:
            late = run.began - process.ended
            yield Violation("zombie began", f"{run} began {late:.3f} s after its worker was {process.state}")
    living = {process.pid for process in evidence.processes if process.ended is None}
    for process in evidence.processes:
        if process.ended is not None and process.pid in evidence.alive - living:
            yield Violation("zombie lives", f"{process} is still there")


def _ends_explained(evidence: Evidence) -> Iterator[Violation]:
    for process in evidence.processes:
        if process.ended is None or process.reason not in ("silence", "fenced", "cut_off", "error"):
            continue
        if process.reason == "error" or _unexplained(evidence, process, process.ended):
            yield Violation("unexplained end", f"{process} ({process.reason})")


def _unexplained(evidence: Evidence, process: Process, ended: float) -> bool:
    """Return whether nothing befell a process that could have made it end as it did."""
    span = 2 * evidence.dead_after + 2  # two times-to-dead and a sweep: what it takes to notice
    spans = [(ended - span, ended)]
    if process.reason == "silence":
        # On a busy machine the keeper itself may come late. How late is for limits.py to say: what silences a process
        # comes soon after its last beat.
        spans.append((process.beat, min(process.beat + span, ended)))
    return not any(
        cause(evidence.faults, process.member, process.pid, since=since, until=until) for since, until in spans
    )
