"""The report of a whole run, in Markdown: what was done, what became of it, and what was broken."""

import platform
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tests.chaos.evidence import Kind
from tests.chaos.limits import percentile, unhindered
from tests.chaos.play import Played
from tests.chaos.schedule import DEFAULTS_NAME
from tests.chaos.watch import Gap, Reclaim

DESCRIPTIONS = {
    Kind.WORKER_KILL: "SIGKILL of a worker",
    Kind.KEEPER_KILL: "SIGKILL of a keeper",
    Kind.EXPORTER_KILL: "SIGKILL of an exporter",
    Kind.PARENT_KILL: "SIGKILL of a parent alone",
    Kind.GROUP_KILL: "SIGKILL of a whole supervisor",
    Kind.WORKER_STOP: "SIGSTOP of a worker beyond time-to-dead",
    Kind.PAIR_STOP: "SIGSTOP of a worker and its parent",
    Kind.GROUP_STOP: "SIGSTOP of a whole supervisor",
    Kind.HANG_UP: "SIGHUP, a rolling restart",
    Kind.TERM: "SIGTERM and a new supervisor",
    Kind.BACKENDS: "`pg_terminate_backend` of two at random",
    Kind.DATABASE: "PostgreSQL restarted in immediate mode",
    Kind.RESET: "connections reset",
    Kind.SHORT_STALL: "one or both directions stalled, shorter than time-to-dead",
    Kind.LONG_STALL: "one or both directions stalled, longer than time-to-dead",
    Kind.LOST_COMMIT: "reply to a COMMIT dropped",
    Kind.LOST_CLAIM: "reply to a claim dropped",
    Kind.SNAPSHOT: "a session idle in REPEATABLE READ",
}


REASONS = ("read", "muted", "below minimum")


def report(played: Sequence[Played], *, seed: int, seconds: float, postgresql: str) -> str:
    """Return the report."""
    parts = [
        _head(played, seed, seconds, postgresql),
        table("Faults", ("fault", "injected"), _faults(played)),
        table("What was in flight", ("what", "how many"), _amounts(played)),
        table("Double runs", ("cut off by", "second runs"), _doubles(played)),
        table("Zombies and refused writes", ("what", "how many"), _refused(played)),
        table("How long it took", ("what", "seconds"), _times(played)),
        table("Longest time without an owner", ("schedule", "seconds"), _gaps(played)),
        table("Schedules", ("schedule", "seconds", "faults", "tasks", "events", "violations"), _schedules(played)),
        _violations(played),
    ]
    return "\n".join(parts)


def _head(played: Sequence[Played], seed: int, seconds: float, postgresql: str) -> str:
    broken = sum(len(each.violations) for each in played)
    faults = sum(len(each.faults) for each in played)
    return (
        "# Chaos: what was done to it, and what became of it\n\n"
        'Written by `make chaos`; see README.md, "Delivery promise". Two supervisors of four workers each, tasks, '
        "ordered keys, events and digests in flight, on one machine.\n\n"
        f"**{faults} faults, {broken} violations.** Seed {seed}, {seconds:.0f} s, PostgreSQL {postgresql}, Python "
        f"{platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}.\n"
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"## {title}\n", f"| {' | '.join(columns)} |", f"|---{'|---:' * (len(columns) - 1)}|"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _faults(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    counts = sum((each.count() for each in played), Counter())
    return [(DESCRIPTIONS[kind], counts[kind]) for kind in Kind] + [("**all**", counts.total())]


def _amounts(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    rows = [row for each in played for row in each.evidence.task_rows]
    return [
        ("tasks enqueued", len(rows)),
        ("of them DONE", sum(row.state == "DONE" for row in rows)),
        ("of them DEAD: three workers were killed while they ran", sum(row.state == "DEAD" for row in rows)),
        ("of them with a key, in order", sum(bool(row.key) for row in rows)),
        ("keys", len({row.key for row in rows if row.key})),
        ("numbers rolled back, none of which ran", sum(len(each.evidence.tasks.rolled_back) for each in played)),
        ("runs in the ledger", sum(len(each.evidence.runs) for each in played)),
        ("events", sum(len(each.evidence.event_rows) for each in played)),
        *_left_out(played),
        ("digests", sum(len(each.evidence.batches) for each in played)),
        ("messages that arrived", sum(len(each.evidence.messages) for each in played)),
    ]


def _left_out(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    rows = [row for each in played for row in each.evidence.event_rows]
    batches = [batch for each in played for batch in each.evidence.batches]
    return [
        ("of them retracted", sum(row.state == "RETRACTED" for row in rows)),
        *((f"of them left out: {reason}", sum(row.reason == reason for row in rows)) for reason in REASONS),
        ("messages skipped just before they were sent", sum(batch.delivery_state == "SKIPPED" for batch in batches)),
    ]


def _doubles(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    causes = Counter(double.cause for each in played for double in each.doubles)
    rows: list[Sequence[object]] = [(DESCRIPTIONS[kind], causes[kind]) for kind in Kind if causes[kind]]
    resends = sum(len(each.evidence.messages) - len({m.delivery for m in each.evidence.messages}) for each in played)
    return [*rows, ("nothing that was done", causes[None]), ("(mails that arrived twice)", resends)]


def _refused(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    found = [zombie for each in played for zombie in each.zombies if zombie.stopped]
    cut_off = [zombie for each in played for zombie in each.zombies if not zombie.stopped]
    stale = sum((each.stale for each in played), Counter())
    return [
        ("zombies: workers that were continued after others had declared them dead", len(found)),
        ("of them holding claims when they were stopped", sum(zombie.held for zombie in found)),
        ("of them refused at their next heartbeat, which ended them", sum(zombie.told for zombie in found)),
        ("of them refused a result as well", sum(zombie.refused for zombie in found)),
        ("workers cut off from the database until others had declared them dead, and told so after it", len(cut_off)),
        *((f"stale writes counted: {write}", stale[write]) for write in sorted(stale)),
    ]


def _times(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    clear = [reclaim for each in played for reclaim in unhindered(each.reclaims, each.faults)]
    killed = _seconds(reclaim for reclaim in clear if not reclaim.whole)
    defaults = [each for each in played if each.schedule.name == DEFAULTS_NAME]
    whole = _seconds(reclaim for each in defaults for reclaim in each.reclaims if reclaim.whole)
    orphans = [seconds for each in played if each.schedule.name == Kind.PARENT_KILL for seconds in each.orphans]
    return [
        (f"reclaim after a worker's SIGKILL, median of {len(killed)}", float(statistics.median(killed or [0.0]))),
        ("the same, p99", percentile(killed, 0.99)),
        ("the same, slowest", max(killed, default=0.0)),
        (f"reclaim after a whole supervisor's, default options, slowest of {len(whole)}", max(whole, default=0.0)),
        ("longest life of a child after its parent's SIGKILL", max(orphans, default=0.0)),
    ]


def _seconds(reclaims: Iterable[Reclaim]) -> list[float]:
    return [reclaim.seconds for reclaim in reclaims if reclaim.seconds is not None]


def _gaps(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    return [(each.schedule.name, _longest(each.gaps)) for each in played]


def _longest(gaps: Sequence[Gap]) -> float:
    return max((gap.seconds for gap in gaps), default=0.0)


def _schedules(played: Sequence[Played]) -> Sequence[Sequence[object]]:
    return [
        (
            each.schedule.name,
            float(each.seconds),
            len(each.faults),
            len(each.evidence.task_rows),
            len(each.evidence.event_rows),
            len(each.violations),
        )
        for each in played
    ]


def _violations(played: Sequence[Played]) -> str:
    lines = [f"- {each.schedule.name}: {found.kind}: {found.text}" for each in played for found in each.violations]
    return "## Violations\n\n" + ("\n".join(lines[:200]) or "None.") + "\n"
