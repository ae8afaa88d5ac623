"""The formal model of the lease protocol, searched exhaustively where spin and a C compiler are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[1] / "model" / "lease.pml"
needs_spin = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")), reason="needs spin and gcc (Debian packages of these names)"
)


def search(directory: Path, *defines: str, promise: bool = False) -> str:
    """Compile the model with some definitions, search all of it, and return what was found.

    `promise`: search for a run that breaks the temporal promise, and not for a broken assertion.
    """
    run = {"cwd": directory, "check": True, "capture_output": True, "text": True, "timeout": 120}
    subprocess.run(["spin", "-a", *(f"-D{define}" for define in defines), MODEL], **run)  # type: ignore[call-overload]
    how = ["-DNFAIR=4"] if promise else ["-DSAFETY", "-DNOCLAIM", "-DCOLLAPSE"]
    subprocess.run(["gcc", *how, "-o", "search", "pan.c"], **run)  # type: ignore[call-overload]
    # -E: a worker that has nothing left to do may stand still anywhere. -a -f: cycles, under weak fairness.
    options = ["-E", "-m100000", *(["-a", "-f"] if promise else [])]
    done = subprocess.run(["./search", *options], **run)  # type: ignore[call-overload]
    output: str = done.stdout
    assert "Search not completed" not in output or "errors: 1" in output
    assert "max search depth too small" not in output
    return output


@needs_spin
@pytest.mark.parametrize("defines", [["WORKERS=3"], ["BATCH"], ["TASK"]], ids=" ".join)
def test_no_interleaving_breaks_an_assertion(defines: list[str], tmp_path: Path) -> None:
    assert "errors: 0" in search(tmp_path, *defines)


@needs_spin
def test_a_bucket_comes_to_a_living_worker_in_the_end(tmp_path: Path) -> None:
    assert "errors: 0" in search(tmp_path, "WORKERS=3", promise=True)


@needs_spin
@pytest.mark.parametrize(
    ("left_out", "broken"),
    [
        (["LEFT_OUT=EPOCH", "BATCH"], "rendered==folded"),
        (["LEFT_OUT=TOKEN", "TASK"], "(claimer==me)&&(token==mine)"),
        (["LEFT_OUT=ALIVE"], "!(dead[me])"),
        (["LEFT_OUT=RISE"], "epoch==given"),
        (["LEFT_OUT=SEEN_OWNER"], "dead[owner]"),
        (["LEFT_OUT=SEEN_TOKEN", "TASK"], "dead[claimer]"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_each_check_that_is_left_out_breaks_an_assertion(left_out: list[str], broken: str, tmp_path: Path) -> None:
    output = search(tmp_path, *left_out)
    assert "assertion violated" in output
    assert broken in output


@needs_spin
def test_without_keepers_a_bucket_of_the_dead_stays_with_them(tmp_path: Path) -> None:
    assert "errors: 1" in search(tmp_path, "WORKERS=3", "LEFT_OUT=KEEPERS", promise=True)
