"""The report of a run, in Markdown: what was done, what became of it, and what was broken."""

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tests.chaos.report import table
from tests.chaos.sending.audit import by_delivery, duplicates
from tests.chaos.sending.evidence import WAYS, Evidence, Violation
from tests.chaos.sending.provider import FAULTS

HEAD = """# The ledger under fire: what was done to messages, and what became of them

Written by `make chaos-sending`; see README.md, "Delivery promise". One supervisor of four workers, a provider on
loopback that keeps the true list of what it took, and a project's web server that takes its signed events.
"""


def report(evidence: Evidence, violations: Sequence[Violation], *, seed: int, seconds: float, postgresql: str) -> str:
    """Return the report."""
    amounts = f"{len(evidence.recipients):,} digests, {evidence.kills:,} kills, {len(violations)} violations."
    versions = f"PostgreSQL {postgresql}, Python {platform.python_version()}"
    summary = f"**{amounts}** Seed {seed}, {seconds:.0f} s, {versions}, {datetime.now(UTC):%Y-%m-%d}.\n"
    broken = "\n".join(f"- {found.kind}: {found.text}" for found in violations[:200]) or "None."
    parts = [
        HEAD,
        summary,
        table("What the provider did with a request", ("what", "how often"), _did(evidence)),
        table("What the workers' deaths left behind", ("what", "how many"), _deaths(evidence)),
        table("What became of the digests", ("", *WAYS), _fates(evidence)),
        table("What left the earlier attempt of a duplicate in doubt", ("what", "duplicates"), _causes(evidence)),
        table("What the webhook was told", ("what", "how many"), _told(evidence)),
        f"## Violations\n\n{broken}\n",
    ]
    return "\n".join(parts)


def _did(evidence: Evidence) -> Iterable[Sequence[object]]:
    return [(name, evidence.counts.get(name, 0)) for name in ("202", *FAULTS)]


def _deaths(evidence: Evidence) -> Iterable[Sequence[object]]:
    taken = {one.which for one in evidence.taken}
    return [
        ("SIGKILL of a worker with messages in hand", evidence.kills),
        ("messages that it had in hand", len(evidence.killed)),
        ("of them taken by the provider", len(taken & set(evidence.killed))),
    ]


def _fates(evidence: Evidence) -> Iterable[Sequence[object]]:
    taken = {id_: len(those) for id_, those in by_delivery(evidence).items()}
    doubt = {which.delivery for which in (*evidence.killed, *evidence.cut)}

    def counted(name: str, which: Iterable[str]) -> Sequence[object]:
        amounts = Counter(which)
        return name, *(amounts[way] for way in WAYS)

    rows = evidence.rows
    return [
        counted("digests", (row.way for row in rows)),
        counted("of unknown fate at least once", (row.way for row in rows if row.id in doubt)),
        counted("taken exactly once", (row.way for row in rows if taken.get(row.id) == 1)),
        counted("taken more than once", (row.way for row in rows if taken.get(row.id, 0) > 1)),
        counted("never taken, and held", (row.way for row in rows if not taken.get(row.id))),
        counted("held before anything was told of them", (row.way for row in rows if row.id in evidence.held)),
        counted("duplicates counted in the ledger", (row.way for row in rows for _ in range(row.duplicates))),
    ]


def _causes(evidence: Evidence) -> Iterable[Sequence[object]]:
    causes = duplicates(evidence)
    return [*sorted(causes.items(), key=lambda item: -item[1]), ("**all**", causes.total())]


def _told(evidence: Evidence) -> Iterable[Sequence[object]]:
    shown = {"202", *FAULTS}
    return [(name, amount) for name, amount in sorted(evidence.counts.items()) if name not in shown]
