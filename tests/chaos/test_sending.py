"""The short part of `make chaos-sending`: some hundred digests while every few of them a worker is killed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.sending.evidence import WAYS
from tests.lifecycle.supervising import ROOT

pytestmark = pytest.mark.lifecycle
DIGESTS, SEED = 180, 5


def test_no_kill_and_no_cut_breaks_what_a_policy_promises(own_dsn: str, tmp_path: Path) -> None:
    """The command starts a supervisor, servers and threads; so it has a process to itself."""
    path = tmp_path / "report.md"
    command = [sys.executable, "-m", "tests.chaos.sending", "--digests", str(DIGESTS), "--seed", str(SEED)]
    options = ["--dsn", own_dsn, "--every", "12", "36", "--latest", "0.5", "--minutes", "4", "--report", str(path)]
    ran = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    assert ran.returncode == 0, ran.stderr
    report = path.read_text()
    assert int(re.findall(r"(\d+) kills", report)[0]) >= 3
    (fates,) = re.findall(r"^\| of unknown fate at least once \| (\d+) \| (\d+) \| (\d+) \|$", report, re.MULTILINE)
    assert all(int(amount) for amount in fates), f"none of {dict(zip(WAYS, fates, strict=True))} was ever in doubt"
