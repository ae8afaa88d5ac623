"""The benchmark's own logic: what is made of samples, and what counts as verified."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from tests.bench.figures import Collected, Sample
from tests.bench.peers import PEERS
from tests.bench.peers.installing import install, is_made, stamp
from tests.bench.peers.ledger import Ledger, MiscountError, drained_per_second, percentile, verify
from tests.bench.peers.peer import INSIDE
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
    assert [(each.goal.at_least, round(each.value, 3), each.reached) for each in ratios(found, goals)] == [
        (1.2, 1.222, True),
        (1.3, 1.222, False),
    ]


def test_the_goals_name_peers_that_exist() -> None:
    assert {goal.other for goal in GOALS} <= {peer.name for peer in PEERS}
    assert OURS in {peer.name for peer in PEERS}


@pytest.mark.parametrize(
    ("records", "complaint"),
    [
        ([(0, 10), (1, 20)], "1 did not run"),
        ([(0, 10), (1, 20), (1, 25), (2, 30)], "1 ran again"),
        ([(0, 10), (1, 20), (2, 30), (7, 40)], "1 are unknown"),
    ],
)
def test_what_did_not_run_exactly_once_does_not_count(records: list[tuple[int, int]], complaint: str) -> None:
    with pytest.raises(MiscountError, match=complaint):
        verify(records, range(3))


def test_a_drain_is_timed_from_the_first_body_to_the_last() -> None:
    records = [(1, 2_000_000_000), (0, 1_000_000_000), (2, 1_500_000_000)]
    assert verify(records, range(3)) == dict(records)
    assert drained_per_second(records) == 2.0


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_seen(share: float, value: float) -> None:
    assert percentile(range(100, 0, -1), share) == value


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
        {"to": "pgqueuer", "figure": "drain", "ratio": 2.606, "at_least": 1.7, "reached": True}
    ]


@pytest.mark.parametrize(("value", "text"), [(46_912.3, "46,912"), (985.2, "985"), (2.051, "2.05"), (0.652, "0.652")])
def test_numbers_have_three_digits_or_more(value: float, text: str) -> None:
    assert number(value) == text


def test_an_environment_that_was_not_finished_is_made_again(tmp_path: Path) -> None:
    assert not is_made(tmp_path, ["a==1"])
    stamp(tmp_path, ["a==1", "b==2"])
    assert is_made(tmp_path, ["a==1", "b==2"])
    assert not is_made(tmp_path, ["a==1", "b==3"])


def test_a_step_that_fails_makes_its_peer_absent(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match=r"cannot be installed here \(see queue.log\)"):
        install([sys.executable, "-c", "raise SystemExit('no such package')"], tmp_path / "queue")
    assert "no such package" in (tmp_path / "queue.log").read_text()


def test_each_peer_has_a_producer_and_pinned_requirements() -> None:
    for peer in PEERS:
        assert (INSIDE / peer.folder / peer.producer[1]).is_file()
        assert re.fullmatch(r"\d+(\.\d+)+", peer.environment.version()), peer.name


PRODUCER = """
import producing
from counting import count

def single(number):
    count(number)

producing.main(lambda: None, lambda numbers: [count(number) for number in numbers] and None, single)
"""
ASYNCHRONOUS = """
from contextlib import asynccontextmanager
import producing
from counting import count

async def single(number):
    count(number)

async def bulk(numbers):
    for number in numbers:
        await single(number)

async def setup():
    pass

@asynccontextmanager
async def opened():
    yield

producing.main(setup, bulk, single, opened)
"""


@pytest.mark.parametrize("source", [PRODUCER, ASYNCHRONOUS])
def test_a_producer_does_what_it_is_told_and_prints_the_seconds(source: str, tmp_path: Path) -> None:
    ran, asked = Ledger(tmp_path / "ran"), Ledger(tmp_path / "asked")
    ran.clear()
    asked.clear()
    variables = {"PYTHONPATH": str(INSIDE / "common"), "BENCH_RAN": str(ran.path), "BENCH_ASKED": str(asked.path)}
    for arguments in (["setup"], ["bulk", "0", "3"], ["single", "3", "2"], ["steady", "5", "2", "1000"]):
        command = [sys.executable, "-c", source, *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["seconds"] >= 0
    times = verify(ran.records(), range(7))
    before = verify(asked.records(), range(5, 7))
    assert all(before[number] <= times[number] for number in before)
