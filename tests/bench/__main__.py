"""`python -m tests.bench`: the command behind `make bench`."""

import io
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from tests.bench.cluster import cluster
from tests.bench.figures import Collected
from tests.bench.machine import is_busy, load, machine
from tests.bench.report import tell
from tests.bench.results import write_results
from tests.bench.runner import run
from tests.bench.section import Bench
from tests.bench.sections import BUDGETS, UnknownNamesError, all_sections, choose

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".bench"
TABLE_WIDTH = 120


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", default="", metavar="X,Y", help="Peers or sections; all if not given.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True, help="Rounds of each peer.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write; by default tests/bench/results, and .bench/results for a part or a trial.",
)
@click.option("--scale", type=click.FloatRange(0.001, 1), default=1.0, help="Share of the tasks, to try something out.")
def main(only: str, rounds: int, out: Path | None, scale: float) -> None:
    """Measure pgsupervise beside its peers; write table.txt, results.json and chart.svg."""
    try:
        chosen = choose(all_sections(), [name.strip() for name in only.split(",") if name.strip()])
    except UnknownNamesError as error:
        raise click.UsageError(str(error)) from error
    signal.signal(signal.SIGTERM, _end)
    # The results that are kept are those of all peers and sections: a trial does not replace them.
    out = out or (CACHE if only or scale < 1 else HERE) / "results"
    work = CACHE / "work"
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    if is_busy():
        _say(f"something else runs on this machine (load {load()}): expect worse figures, and far apart")
    with cluster() as servers:
        about = {**machine(servers), "load before": load()}
        collected = run(chosen, Bench(servers, work, CACHE, _say, scale), rounds, BUDGETS)
    _write(out, collected, about)


def _write(out: Path, collected: Collected, about: dict[str, str]) -> None:
    screen = Console()
    tell(Console(width=max(screen.width, TABLE_WIDTH)), collected, about)
    table = Console(file=io.StringIO(), record=True, width=TABLE_WIDTH)
    tell(table, collected, about)
    (out / "table.txt").write_text(_without_trailing_spaces(table.export_text().splitlines()))
    write_results(out / "results.json", collected, about)
    try:
        from tests.bench.chart import write_chart

        write_chart(out / "chart.svg", collected)
    except ImportError as error:
        _say(f"no chart: {error}")
    _say(f"written to {out}")


def _without_trailing_spaces(lines: Iterable[str]) -> str:
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _say(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)  # by way of all `finally`: nothing that was started is left


if __name__ == "__main__":
    main()
