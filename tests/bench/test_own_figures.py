"""The tally proves what ran, and the table says what was promised."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.cluster import Cluster, LoopbackServer
from tests.bench.figures import Collected, Sample
from tests.bench.own.place import Place
from tests.bench.own.project import variables
from tests.bench.own.sections import OWN, Budget, OwnSection, own_sections
from tests.bench.own.table import own_table
from tests.bench.own.tally import Counter, Runs, Tally, TallyError
from tests.bench.own.targets import TARGETS, lines
from tests.bench.section import AbsentError, Bench


def test_a_tally_tells_what_ran_and_how_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(tmp_path / "tally")
    monkeypatch.setenv(variables.TALLY, tally.environment[variables.TALLY])
    counter = Counter()
    for number in range(10):
        counter.add(number)
    runs = tally.read()
    runs.check(range(10))
    assert tally.count() == len(runs.times) == 10
    tally.clear()
    counter.add(10)
    assert list(tally.read().numbers) == [10]


@pytest.fixture
def nothing(tmp_path: Path) -> Bench:
    return Bench(Cluster(LoopbackServer(tmp_path), None), tmp_path, tmp_path, lambda _: None)


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 3, 3), (1, 2, 3, 4), (1, 2, 2)])
def test_a_task_that_ran_twice_or_not_at_all_spoils_the_figure(numbers: tuple[int, ...]) -> None:
    with pytest.raises(TallyError):
        Runs([0.0] * len(numbers), numbers).check(range(1, 4))


def test_the_rate_of_each_tenth() -> None:
    times = [float(second) for second in range(51)] + [50 + second / 2 for second in range(1, 51)]
    runs = Runs(times, range(101))
    tenths = runs.tenths()
    assert (len(tenths), tenths[0], tenths[-1]) == (10, 1.0, 2.0)
    assert runs.rate == pytest.approx(100 / 75)


def test_a_target_is_reached_or_missed() -> None:
    collected = Collected()
    memory = ("footprint", "each further worker", "PSS of all processes")
    collected.add([Sample(*memory, 21.0, "MiB", False), Sample("callers", "enqueue()", "of a bare INSERT", 0.9, "x")])
    collected.add([Sample("callers", "enqueue()", "calls", 1000.0, "calls/s")])
    verdicts = [line.verdict for section in OWN for line in lines(collected, section)]
    assert verdicts == ["reached", "", "MISSED"]
    table = own_table(collected, OWN)
    assert table is not None
    assert table.row_count == 3


def test_every_target_is_of_a_section_that_there_is() -> None:
    assert {target.section for target in TARGETS} <= set(OWN)


def test_no_section_begins_when_the_time_is_over(nothing: Bench) -> None:
    for section in own_sections(seconds=0):
        with pytest.raises(AbsentError, match="were over before it began"):
            list(section.measure(nothing))


def test_a_section_whose_sums_are_wrong_is_absent_and_keeps_what_was_found(nothing: Bench) -> None:
    def measure(_: Place) -> Iterator[Sample]:
        yield Sample("backlog", "10 ready", "drain", 1.0, "tasks/s")
        raise TallyError("one ran again")

    measuring = OwnSection("backlog", measure, Budget(60)).measure(nothing)
    assert next(measuring).value == 1.0
    with pytest.raises(AbsentError, match="TallyError: one ran again"):
        next(measuring)


def test_a_run_without_our_own_sections_has_no_table_of_them() -> None:
    assert own_table(Collected(), OWN) is None
