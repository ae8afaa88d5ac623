"""The benchmark as a user runs it, on a few tasks: what nobody runs every day must not rot."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lifecycle
ROOT = Path(__file__).parents[2]


def test_a_short_run_measures_ourselves_and_leaves_results(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench", "--only", "pgsupervise", "--rounds", "1"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, "--scale", "0.005", "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["absent"] == {}, done.stderr
    found = {figure["figure"]: figure["median"] for figure in results["figures"]}
    assert list(found) == ["drain", "bulk enqueue", "single enqueue", "pick-up p50", "pick-up p99"]
    assert all(value > 0 for value in found.values())
    assert "pgsupervise" in (tmp_path / "table.txt").read_text()


def test_what_does_not_exist_is_refused_before_anything_starts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--only", "kafka"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no such peer or section: kafka; there are " in done.stderr
