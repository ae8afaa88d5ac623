"""The files that hold the counts, as the exporter reads them: each is checked, so a spoilt one costs only itself."""

import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

KINDS = r"(?:counter|histogram|summary|gauge_[a-z]+)"
SLOT = re.compile(r"(?!fork)[a-z]+(?:-[0-9]+)?")
SLOT_FILE = re.compile(rf"{KINDS}_{SLOT.pattern}\.db")
# Of a process that a task has forked: nobody adds it up.
FORK_FILE = re.compile(rf"{KINDS}_fork-[0-9]+\.db")
# Far more than a slot with a thousand task names needs; reading what is bigger would hurt the exporter.
LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Counts:
    """The sums over all slots, and how many files were left out because they are spoilt or nobody's."""

    metrics: list[Metric]
    skipped: int


def read_counts(directory: Path) -> Counts:
    """Return the counts of every slot added up. Never raises: what cannot be read is left out and counted."""
    try:
        found = [
            entry for entry in directory.iterdir() if entry.suffix == ".db" and not FORK_FILE.fullmatch(entry.name)
        ]
    except OSError:
        return Counts([], 1)
    good = [path for path in found if SLOT_FILE.fullmatch(path.name) and is_readable(path)]
    skipped = len(found) - len(good)
    try:
        filled = [str(path) for path in good if path.stat().st_size]
        return Counts(list(MultiProcessCollector.merge(filled)), skipped)  # type: ignore[no-untyped-call]
    except Exception:  # each file is sound, but together they are not: somebody's file says otherwise what ours say
        return Counts([], skipped + 1)


def sweep(directory: Path, pattern: re.Pattern[str]) -> None:
    """Remove the files whose whole name matches; a process that still has one open does not notice."""
    for path in directory.iterdir():
        if pattern.fullmatch(path.name):
            path.unlink(missing_ok=True)


def is_readable(path: Path) -> bool:
    """Return whether every entry of a file can be read; False for one that is truncated, foreign or gone."""
    try:
        seen = path.stat(follow_symlinks=False)
        # Opening a FIFO would wait for a writer that never comes.
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > LARGEST:
            return False
        if seen.st_size == 0:
            return True  # made a moment ago
        with path.open("rb") as file:
            used = int.from_bytes(file.read(4), sys.byteorder, signed=True)
        if used and not 8 <= used <= seen.st_size:
            return False
        entries = MmapedDict.read_all_values_from_file(os.fspath(path))  # type: ignore[no-untyped-call]
        return all(_is_key(key) for key, *_ in entries)
    except Exception:  # the bytes may be anything: OSError, struct.error, RuntimeError, ValueError, RecursionError
        return False


@lru_cache(maxsize=4096)  # the slots' files hold the same keys
def _is_key(key: str) -> bool:
    metric, name, labels, text = json.loads(key)
    words = [metric, name, text, *labels, *labels.values()]
    return isinstance(labels, dict) and all(isinstance(word, str) for word in words)
