"""The chart: a panel for each figure of the peers, medians as bars, least to most as a line on them."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import Collected, Figure
from tests.bench.ratios import OURS
from tests.bench.report import number

OUR_COLOUR, THEIR_COLOUR, RANGE_COLOUR = "#1f6feb", "#9aa4af", "#24292f"
PANELS = ("drain", "bulk enqueue", "single enqueue", "pick-up p50", "pick-up p99")


def write_chart(path: Path, collected: Collected, section: str = "peers") -> bool:
    """Draw the peers' figures on logarithmic scales, and return whether there was anything to draw."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    groups = {name: [each for each in collected.figures(section) if each.figure == name] for name in PANELS}
    drawn = {name: figures for name, figures in groups.items() if figures}
    if not drawn:
        return False
    # Text stays text, to be searched and scaled, and two runs with the same numbers give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pgsupervise", "font.size": 9}):
        rows = max(len(figures) for figures in drawn.values())
        drawing = Drawing(figsize=(8, len(drawn) * (0.7 + 0.22 * rows)), layout="constrained")
        panels = drawing.subplots(len(drawn), 1, squeeze=False)[:, 0]
        for panel, (name, figures) in zip(panels, drawn.items(), strict=True):
            _draw(panel, name, figures)
        drawing.savefig(path, format="svg", metadata={"Date": None})
    return True


def _draw(panel: object, name: str, figures: Sequence[Figure]) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import NullFormatter

    assert isinstance(panel, Axes)
    best_last = sorted(figures, key=lambda figure: figure.median if figure.more_is_better else -figure.median)
    medians = [figure.median for figure in best_last]
    reach = [
        [figure.median - figure.least for figure in best_last],
        [figure.most - figure.median for figure in best_last],
    ]
    colours = [OUR_COLOUR if figure.who == OURS else THEIR_COLOUR for figure in best_last]
    places = range(len(best_last))
    bars = panel.barh(places, medians, xerr=reach, color=colours, ecolor=RANGE_COLOUR, height=0.7)
    panel.set_yticks(places, [figure.who for figure in best_last])
    panel.set_xscale("log")
    panel.set_xlim(min(medians) / 4, max(figure.most for figure in best_last) * 2)
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.bar_label(bars, [number(median) for median in medians], padding=3)
    panel.grid(visible=True, axis="x", alpha=0.3)
    better = "more is better" if best_last[0].more_is_better else "less is better"
    panel.set_title(f"{name}, {best_last[0].unit} ({better}, logarithmic)", loc="left")
