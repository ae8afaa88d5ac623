"""What the benchmark makes of its peers: the ledger of runs, the producers, the environments."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.peers import PEERS
from tests.bench.peers.installing import install, is_made, stamp
from tests.bench.peers.ledger import Ledger, MiscountError, drained_per_second, percentile, verify
from tests.bench.peers.peer import INSIDE
from tests.bench.section import AbsentError


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
