"""`results.json`: what a run found, for machines."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.bench.figures import Collected
from tests.bench.ratios import ratios


def write_results(path: Path, collected: Collected, machine: Mapping[str, str]) -> None:
    """Write all figures, who was absent and why, the ratios, and the machine."""
    content = {
        "machine": dict(machine),
        "figures": [
            {
                "section": figure.section,
                "who": figure.who,
                "version": figure.version,
                "figure": figure.figure,
                "unit": figure.unit,
                "more_is_better": figure.more_is_better,
                "median": _rounded(figure.median),
                "min": _rounded(figure.least),
                "max": _rounded(figure.most),
                "rounds": len(figure.values),
            }
            for figure in collected.figures()
        ],
        "ratios": [
            {
                "to": ratio.goal.other,
                "figure": ratio.goal.figure,
                "ratio": _rounded(ratio.value),
                "limit": ratio.goal.limit,
                "reached": ratio.reached,
            }
            for ratio in ratios(collected)
        ],
        "absent": collected.absent,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def _rounded(value: float) -> float:
    """Keep four digits: the others are noise."""
    return float(f"{value:.4g}")
