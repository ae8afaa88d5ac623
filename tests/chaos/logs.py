"""The supervisors' logs, read while they grow: key=value lines."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
Line = Mapping[str, str]


class Log:
    """One supervisor's log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lines: list[Line] = []

    def lines(self) -> list[Line]:
        """Return all lines that are complete, as dictionaries; what is no key=value line is left out."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(text) + len(newline)
        for line in text.decode(errors="replace").splitlines():
            if line.startswith("at="):
                self._lines.append({key: _unquoted(value) for key, value in PAIR.findall(line)})
        return self._lines

    def first(self, event: str) -> Line | None:
        """Return the first line of an event."""
        return next((line for line in self.lines() if line.get("event") == event), None)


def at(line: Line, clocks_apart: float) -> float:
    """Return when a line was written, on the monotonic clock."""
    return datetime.fromisoformat(line["at"].replace("Z", "+00:00")).timestamp() - clocks_apart


def _unquoted(value: str) -> str:
    return value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if value.startswith('"') else value
