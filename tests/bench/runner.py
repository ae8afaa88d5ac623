"""Runs the sections: all round 1, then all round 2, so that a slow minute of the machine hits everybody."""

import time
from collections.abc import Mapping, Sequence
from itertools import groupby

from tests.bench.figures import Collected
from tests.bench.section import AbsentError, Bench, Section


def run(sections: Sequence[Section], bench: Bench, rounds: int, budgets: Mapping[str, float]) -> Collected:
    """Measure all sections and return what was found; what cannot be had is noted, and so is what failed.

    Who interrupts it gets what was measured until then.
    """
    collected = Collected()
    try:
        for group, members in groupby(sections, key=lambda section: section.group):
            ends = time.monotonic() + budgets.get(group, float("inf"))
            present = [section for section in members if _prepared(section, bench, collected)]
            _run_group(present, bench, collected, rounds, ends)
    except KeyboardInterrupt:
        collected.absent["what was left to do"] = "interrupted"
    return collected


def _prepared(section: Section, bench: Bench, collected: Collected) -> bool:
    bench.say(f"{section.name}: preparing")
    try:
        section.prepare(bench)
    except AbsentError as absence:
        collected.absent[section.name] = str(absence)
        bench.say(f"{section.name}: absent: {absence}")
        return False
    return True


def _run_group(sections: list[Section], bench: Bench, collected: Collected, rounds: int, ends: float) -> None:
    longest = 0.0
    for number in range(1, max((section.rounds or rounds for section in sections), default=0) + 1):
        started = time.monotonic()
        if started + longest > ends:
            bench.say(f"no round {number}: there is no time left for it")
            return
        for section in list(sections):
            if number <= (section.rounds or rounds) and not _measured(section, number, bench, collected):
                sections.remove(section)
        longest = max(longest, time.monotonic() - started)


def _measured(section: Section, number: int, bench: Bench, collected: Collected) -> bool:
    bench.say(f"{section.name}: round {number}")
    try:
        for sample in section.measure(bench):
            collected.add([sample])
            bench.say(f"{section.name}: {sample.figure} {sample.value:,.4g} {sample.unit}")
    except AbsentError as absence:
        collected.absent[section.name] = str(absence)
        bench.say(f"{section.name}: given up: {absence}")
        return False
    return True
