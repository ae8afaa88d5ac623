"""The chaos suite's schedules and ledger: reproducible, and read as they were written."""

import os
from pathlib import Path

import pytest

from tests.chaos import ledger
from tests.chaos.evidence import Kind
from tests.chaos.ledger import Run
from tests.chaos.limits import percentile
from tests.chaos.schedule import ALONE, MIXED, STOPPING, all_schedules, schedule


def test_a_seed_gives_the_same_faults_again_and_another_seed_others() -> None:
    assert all_schedules(1, 12) == all_schedules(1, 12)
    assert all_schedules(1, 12) != all_schedules(2, 12)


def test_a_whole_run_plans_500_faults_and_more_of_every_kind_alone_and_mixed() -> None:
    planned = all_schedules(1, 12)
    assert sum(len(each.faults) for each in planned) > 500
    assert sum(each.seconds for each in planned) < 12 * 60
    for kind in Kind:
        alone, *mixed = [each for each in planned if any(fault.kind is kind for fault in each.faults)]
        assert {fault.kind for fault in alone.faults} == {kind}
        assert mixed


@pytest.mark.parametrize("seed", range(20))
def test_a_minute_of_mixed_faults_has_each_kind_and_strikes_both_supervisors(seed: int) -> None:
    faults = schedule("mixed", seed, 60, MIXED).faults
    assert {fault.kind for fault in faults} == set(Kind) == set(ALONE)
    assert {fault.member for fault in faults} == {0, 1}
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(fault.lasting > 2.5 for fault in faults if fault.kind in STOPPING)
    assert all(0 < fault.lasting < 2.5 for fault in faults if fault.kind is Kind.SHORT_STALL)


def test_a_run_that_has_ended_and_one_that_was_cut_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ledger.VARIABLE, str(tmp_path))
    with ledger.recorded(1):
        pass
    with pytest.raises(KeyError), ledger.recorded(2):
        raise KeyError
    first, second = ledger.read(tmp_path)
    assert (first.number, first.pid, second.number, second.ended) == (1, os.getpid(), 2, None)
    assert first.ended
    assert first.began <= first.ended <= second.began
    assert ledger.times_begun(2) == 1


def test_a_pid_that_was_used_again_has_its_runs_apart(tmp_path: Path) -> None:
    (tmp_path / "11").write_text("begin 1 5.0\nbegin 1 8.0\nend 1 9.0\n")
    assert ledger.read(tmp_path) == [Run(1, 11, 5.0, None), Run(1, 11, 8.0, 9.0)]
    assert ledger.read(tmp_path, since=6.0) == [Run(1, 11, 8.0, 9.0)]


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([], 0.99) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(map(float, range(1, 101))), 0.99) == 99.0
    assert percentile([1.0, 2.0], 0.99) == 2.0
