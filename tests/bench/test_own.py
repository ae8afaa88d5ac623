"""Our own sections measure what they say, on a few rows: no rate is asserted, only that all was counted."""

from collections.abc import Callable, Iterator
from typing import cast

import pytest

from pgsupervise.django_app import embedded
from tests.bench.cluster import Cluster, LoopbackServer
from tests.bench.figures import Sample
from tests.bench.own import backlog, bystanders, callers, digests, filling, footprint, mail, processes, profile, writes
from tests.bench.own.place import TEMPLATE, Place
from tests.bench.section import Bench

pytestmark = pytest.mark.lifecycle
SCALE = 0.0005
Measure = Callable[[Place], Iterator[Sample]]


@pytest.fixture(scope="module")
def place(server: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    work = tmp_path_factory.mktemp("own")
    yield Place(Bench(Cluster(cast(LoopbackServer, server), None), work, work, lambda _: None, SCALE))
    server.drop_database(TEMPLATE)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One point of each curve, and one of several cases that take the same way."""
    monkeypatch.setattr(backlog, "SIZES", (1_000_000,))
    monkeypatch.setattr(backlog, "SMALL_ROUNDS", 1)
    monkeypatch.setattr(bystanders, "PAIRS", 1)
    monkeypatch.setattr(callers, "CROWD_PAIRS", 1)
    monkeypatch.setattr(bystanders, "LOADS", {"finished rows": (filling.finished, 10_000)})
    monkeypatch.setattr(bystanders, "HOLDING", {"an idle session": True})
    monkeypatch.setattr(digests, "RECIPIENTS", ())
    monkeypatch.setattr(digests, "POLICIES", {"of 5 items": "lean"})
    monkeypatch.setattr(digests, "SIZES", (10,))
    monkeypatch.setattr(mail, "PAIRS", 1)
    monkeypatch.setattr(processes, "CHUNKS", {2: 60_000})
    monkeypatch.setattr(footprint, "FEW", 1)
    monkeypatch.setattr(footprint, "MORE", 1)
    monkeypatch.setattr(footprint, "IDLE_WORKERS", 2)
    monkeypatch.setattr(writes, "FLUSH_SECONDS", 0.1)


@pytest.mark.parametrize(
    ("measure", "figures"),
    [
        (backlog.measure, 2),
        (bystanders.measure, 4),
        (callers.measure, 12),
        (digests.measure_digests, 6),
        (digests.measure_recipients, 1),
        (footprint.measure, 7),
        (mail.measure, 3),
        (processes.measure_chunks, 1),
        (writes.measure, 6 + 3 * (2 + profile.MOST)),
    ],
)
def test_each_section_counts_what_it_has_done(measure: Measure, figures: int, place: Place) -> None:
    samples = list(measure(place))
    assert len(samples) == figures
    assert len({(sample.who, sample.figure) for sample in samples}) == figures
    assert all(sample.value >= 0 for sample in samples)
