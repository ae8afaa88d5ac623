"""Holds what the tables say of messages against the provider's true list, and against what was done to them."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.sending.evidence import Attempt, Evidence, Row, Taken, Violation, Way


def audit(evidence: Evidence) -> list[Violation]:
    """Return every promise that was broken."""
    return [*_digests(evidence), *_deaths(evidence), *_requests(evidence), *_messages(evidence)]


def duplicates(evidence: Evidence) -> Counter[str]:
    """Return how many messages too many the provider took, by what had left the earlier attempt in doubt."""
    causes: Counter[str] = Counter()
    for taken in by_delivery(evidence).values():
        causes.update(_cause(evidence, earlier.which) or "nothing that was done" for earlier in taken[:-1])
    return causes


def by_delivery(evidence: Evidence) -> dict[int, list[Taken]]:
    """Return what was taken by delivery, in order of its attempts."""
    found: dict[int, list[Taken]] = defaultdict(list)
    for taken in sorted(evidence.taken, key=lambda one: one.which):
        found[taken.which.delivery].append(taken)
    return found


def _digests(evidence: Evidence) -> Iterator[Violation]:
    rows = Counter(row.recipient for row in evidence.rows)
    for recipient in evidence.recipients:
        if rows[recipient] != 1:
            yield Violation("digests", f"{recipient} has {rows[recipient]} deliveries")
    for row in evidence.rows:
        if row.recipient not in rows or row.state not in ("ACCEPTED", "UNKNOWN"):
            yield Violation("left over", f"{row}")


def _deaths(evidence: Evidence) -> Iterator[Violation]:
    for which, kill in evidence.killed.items():
        if not kill:
            yield Violation("unknown death", f"the worker that had {which} died, and nobody had killed it")


def _requests(evidence: Evidence) -> Iterator[Violation]:
    recipients = {row.id: row.recipient for row in evidence.rows}
    for which, times in Counter(taken.which for taken in evidence.taken).items():
        if times > 1:
            yield Violation("attempt used twice", f"{which} was taken {times} times")
    for delivery, taken in by_delivery(evidence).items():
        if {one.recipient for one in taken} != {recipients.get(delivery)}:
            yield Violation("wrong recipient", f"{delivery} of {recipients.get(delivery)}: {taken}")
        if len({one.fingerprint for one in taken}) > 1:
            yield Violation("bytes differ", f"{delivery}: {taken}")


def _messages(evidence: Evidence) -> Iterator[Violation]:
    all_taken = by_delivery(evidence)
    for row in evidence.rows:
        taken = all_taken.get(row.id, [])
        if row.duplicates != max(0, len(taken) - 1):
            yield Violation("not counted", f"{len(taken)} taken, {row.duplicates} duplicates counted: {row}")
        match row.way:
            case Way.RECONCILE:
                if len(taken) != 1 or row.state != "ACCEPTED":
                    yield Violation("not exactly once", f"{len(taken)} taken: {row}")
            case Way.RESEND:
                yield from _resent(evidence, row, taken)
            case Way.HOLD:
                yield from _held(evidence, row, taken)


def _resent(evidence: Evidence, row: Row, taken: list[Taken]) -> Iterator[Violation]:
    if not taken or row.state != "ACCEPTED":
        yield Violation("not at least once", f"{len(taken)} taken: {row}")
    for earlier in taken[:-1]:
        if not _cause(evidence, earlier.which):
            yield Violation("duplicate of nothing", f"{earlier.which} was answered, and sent again: {row}")


def _held(evidence: Evidence, row: Row, taken: list[Taken]) -> Iterator[Violation]:
    cause = _cause(evidence, Attempt(row.id, row.attempt))
    if len(taken) > 1:
        yield Violation("not at most once", f"{len(taken)} taken: {row}")
    if (row.id in evidence.held) != bool(cause):
        yield Violation("held", f"{'held' if row.id in evidence.held else 'not held'}, cut off by {cause}: {row}")
    if row.state != ("ACCEPTED" if taken else "UNKNOWN"):
        yield Violation("fate", f"{len(taken)} taken, all told: {row}")
    if not taken and row.id not in evidence.held:
        yield Violation("lost", f"{row}")


def _cause(evidence: Evidence, which: Attempt) -> str:
    """Return what left an attempt in doubt; the kill, where it was both, since nobody heard of the rest."""
    return "SIGKILL of its worker" if which in evidence.killed else evidence.cut.get(which, "")
