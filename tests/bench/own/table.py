"""The table of our own figures: one line each, with what was promised of it."""

from collections.abc import Iterable

from rich.table import Table

from tests.bench.figures import Collected
from tests.bench.own.targets import Line, lines


def own_table(collected: Collected, sections: Iterable[str]) -> Table | None:
    """Return the table, a part for each section; None where none of them was measured."""
    table = Table(title="pgsupervise against itself: figures, and what is promised of them", title_justify="left")
    for column in ("", "case", "figure"):
        table.add_column(column)
    for column in ("value", "target"):
        table.add_column(column, justify="right")
    table.add_column("")
    for section in sections:
        for number, line in enumerate(lines(collected, section)):
            table.add_row("" if number else section, *_cells(line))
        table.add_section()
    return table if table.row_count else None


def _cells(line: Line) -> tuple[str, ...]:
    figure = line.figure
    target = "" if line.target is None else f"{'>=' if figure.more_is_better else '<='} {short(line.target.limit)}"
    return figure.who, figure.figure, f"{short(figure.median)} {figure.unit}", target, line.verdict


def short(value: float) -> str:
    """Return three digits or more: 46,900, 985, 2.05."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
