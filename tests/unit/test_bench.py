"""The benchmark's own logic: what is made of samples, and in which order they come."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from tests.bench.figures import Collected, Sample
from tests.bench.peers import PEERS
from tests.bench.ratios import GOALS, OURS, Goal, ratios
from tests.bench.report import number, tell
from tests.bench.results import write_results
from tests.bench.runner import run
from tests.bench.section import AbsentError, Bench, Section
from tests.bench.sections import UnknownNamesError, all_sections, choose


def drains(who: str, *values: float) -> list[Sample]:
    return [Sample("peers", who, "drain", value, "/s", version="1.0") for value in values]


def collected(*groups: Iterable[Sample]) -> Collected:
    found = Collected()
    for group in groups:
        found.add(group)
    return found


def test_a_figure_is_the_median_with_the_least_and_the_most() -> None:
    (figure,) = collected(drains("rq", 430, 441, 390)).figures()
    assert (figure.median, figure.least, figure.most, figure.version) == (430, 390, 441, "1.0")


def test_figures_keep_the_order_in_which_they_were_first_seen() -> None:
    found = collected(drains("b", 1), drains("a", 2), drains("b", 3))
    assert [figure.who for figure in found.figures()] == ["b", "a"]
    assert found.find("b", "drain") is not None
    assert found.find("b", "pick-up p50") is None


def test_a_ratio_is_the_quotient_of_the_medians() -> None:
    found = collected(drains(OURS, 100, 110, 500), drains("other", 90, 100, 1))
    goals = (Goal("other", 1.2), Goal("other", 1.3), Goal("nobody", 2))
    assert [(each.goal.limit, round(each.value, 3), each.reached) for each in ratios(found, goals)] == [
        (1.2, 1.222, True),
        (1.3, 1.222, False),
    ]


def test_less_is_better_where_a_figure_says_so_and_a_goal_may_stand_alone() -> None:
    waits = [
        Sample("peers", who, "pick-up p50", ms, "ms", more_is_better=False) for who, ms in ((OURS, 3), ("other", 2))
    ]
    goals = (Goal("other", 1.0, "pick-up p50"), Goal("", 5.0, "pick-up p50"))
    assert [(each.value, each.reached) for each in ratios(collected(waits), goals)] == [(1.5, False), (3, True)]


def test_the_goals_name_peers_that_exist() -> None:
    assert {goal.other for goal in GOALS if goal.other} <= {peer.name for peer in PEERS}
    assert OURS in {peer.name for peer in PEERS}


def test_a_name_is_a_section_or_a_group() -> None:
    sections = all_sections()
    assert choose(sections, []) == sections
    assert [section.name for section in choose(sections, ["rq", OURS])] == [OURS, "rq"]
    assert len(choose(sections, ["peers"])) == len(PEERS)
    with pytest.raises(UnknownNamesError, match=r"no such peer or section: kafka; there are .*celery-prefork"):
        choose(sections, ["kafka", "rq"])


@dataclass
class Fake:
    name: str
    calls: list[str]
    absent: str = ""
    fails_in: int = 0
    group: str = "fakes"
    rounds: int | None = None
    done: int = field(default=0, init=False)

    def prepare(self, bench: Bench) -> None:
        if self.absent:
            raise AbsentError(self.absent)

    def measure(self, bench: Bench) -> Iterable[Sample]:
        self.done += 1
        self.calls.append(f"{self.name}{self.done}")
        if self.done == self.fails_in:
            raise AbsentError("it fell over")
        yield from drains(self.name, self.done)


def bench() -> Bench:
    return Bench(cluster=cast("object", None), work=Path(), cache=Path(), say=lambda _text: None)  # type: ignore[arg-type]


def test_rounds_are_interleaved_and_the_absent_are_named() -> None:
    calls: list[str] = []
    sections: list[Section] = [
        Fake("a", calls),
        Fake("b", calls, absent="no npm"),
        Fake("c", calls, fails_in=2),
        Fake("d", calls, rounds=1),
    ]
    found = run(sections, bench(), 3, {})
    assert calls == ["a1", "c1", "d1", "a2", "c2", "a3"]
    assert found.absent == {"b": "no npm", "c": "it fell over"}
    assert [len(figure.values) for figure in found.figures()] == [3, 1, 1]


def test_no_round_begins_that_does_not_fit() -> None:
    calls: list[str] = []
    run([Fake("a", calls)], bench(), 3, {"fakes": -1.0})
    assert calls == []
    run([Fake("a", calls)], bench(), 3, {"fakes": 3600.0, "others": -1.0})
    assert calls == ["a1", "a2", "a3"]


def test_who_interrupts_it_gets_what_was_measured() -> None:
    class Interrupted(Fake):
        def measure(self, bench: Bench) -> Iterable[Sample]:
            raise KeyboardInterrupt

    calls: list[str] = []
    found = run([Fake("a", calls), Interrupted("b", calls)], bench(), 3, {})
    assert [figure.who for figure in found.figures()] == ["a"]
    assert list(found.absent.values()) == ["interrupted"]


def test_the_report_tells_figures_ratios_and_the_absent(tmp_path: Path) -> None:
    found = collected(drains(OURS, 52_000), drains("graphile-local", 50_000), drains("pgqueuer", 20_000))
    found.absent["oban"] = "it needs Python 3.12 or newer, and there is none"
    console = Console(record=True, width=120, quiet=False, file=(tmp_path / "screen").open("w"))
    tell(console, found, {"cores": "2"})
    console.file.close()
    text = console.export_text()
    for part in ("cores 2", "52,000", "1.04", "MISSED", "2.60", "reached", "absent: oban: it needs Python 3.12"):
        assert part in text
    assert text.index("pgsupervise") < text.index("graphile-local")


def test_the_results_are_json_with_median_min_max_and_version(tmp_path: Path) -> None:
    found = collected(drains(OURS, 52_123.4, 50_000, 53_000), drains("pgqueuer", 20_000))
    write_results(tmp_path / "results.json", found, {"cores": "2"})
    content = json.loads((tmp_path / "results.json").read_text())
    ours = content["figures"][0]
    assert (ours["median"], ours["min"], ours["max"], ours["version"]) == (52_120, 50_000, 53_000, "1.0")
    assert content["ratios"] == [
        {"to": "", "figure": "drain", "ratio": 52_120, "limit": 50_000, "reached": True},
        {"to": "pgqueuer", "figure": "drain", "ratio": 2.606, "limit": 1.7, "reached": True},
    ]


@pytest.mark.parametrize(("value", "text"), [(46_912.3, "46,912"), (985.2, "985"), (2.051, "2.05"), (0.652, "0.652")])
def test_numbers_have_three_digits_or_more(value: float, text: str) -> None:
    assert number(value) == text
