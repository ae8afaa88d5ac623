"""What the kernel counts of processes: processor time and memory."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12  # counted from the state, the first field behind the name


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time of processes so far, in user and kernel mode."""
    return sum(_ticks(pid) for pid in pids) / _TICKS


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[_UTIME]) + int(fields[_STIME])


def pss_mib(pids: Iterable[int]) -> float:
    """Return the memory of processes in MiB, where a page that several share counts for each by its share."""
    return sum(_pss_kib(pid) for pid in pids) / 1024


def _pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"the kernel does not tell the memory of process {pid}")
