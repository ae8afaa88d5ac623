"""The tables: each section's figures side by side, the ratios, who is absent."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Collected, Figure
from tests.bench.own.sections import OWN
from tests.bench.own.table import own_table
from tests.bench.ratios import OURS, ratios


def tell(console: Console, collected: Collected, machine: Mapping[str, str]) -> None:
    """Print all there is to say about a run."""
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for section in collected.sections():
        if section not in OWN:
            console.print(section_table(section, collected))
    if table := own_table(collected, OWN):
        console.print(table)
    if table := _ratio_table(collected):
        console.print(table)
    for name, reason in collected.absent.items():
        console.print(f"absent: {name}: {reason}", markup=False)


def section_table(section: str, collected: Collected) -> Table:
    """Return one line for each who, one column for each figure; the first figure decides the order."""
    figures = list(collected.figures(section))
    names = list(dict.fromkeys(figure.figure for figure in figures))
    table = Table(title=f"{section}: median and, below it, least..most of the rounds", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("version", no_wrap=True)
    for name in names:
        unit = next(figure.unit for figure in figures if figure.figure == name)
        table.add_column(f"{name}\n{unit}", justify="right", no_wrap=True)
    for who, own in _ordered(figures, names[0]):
        version = next(iter(own.values())).version
        table.add_row(who, version, *(_cell(own.get(name)) for name in names), style="bold" if who == OURS else "")
    return table


def _ordered(figures: Iterable[Figure], first: str) -> list[tuple[str, dict[str, Figure]]]:
    rows: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        rows.setdefault(figure.who, {})[figure.figure] = figure

    def place(row: tuple[str, dict[str, Figure]]) -> float:
        figure = row[1].get(first)
        if figure is None:
            return float("inf")
        return -figure.median if figure.more_is_better else figure.median

    return sorted(rows.items(), key=place)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    return f"{number(figure.median)}\n{number(figure.least)}..{number(figure.most)}"


def number(value: float) -> str:
    """Return three or more digits: 46,900, 985, 2.05, 0.65."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _ratio_table(collected: Collected) -> Table | None:
    found = list(ratios(collected))
    if not found:
        return None
    table = Table(
        title=f"{OURS} beside others: quotients of the medians, and what is promised of it alone", title_justify="left"
    )
    for column in ("figure", "beside", "times", "goal", ""):
        table.add_column(column, justify="right" if column in ("times", "goal") else "left")
    for ratio in found:
        verdict = "reached" if ratio.reached else "MISSED"
        goal = ratio.goal
        sign = ">=" if ratio.more_is_better else "<="
        value = f"{ratio.value:.2f}" if goal.other else f"{ratio.value:,.4g}"
        table.add_row(goal.figure, goal.other or "(by itself)", value, f"{sign} {goal.limit:,g}", verdict)
    return table
