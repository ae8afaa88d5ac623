"""On what it was measured."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from tests.bench.cluster import Cluster
from tests.bench.redis_server import version as redis_version


def machine(cluster: Cluster) -> dict[str, str]:
    """Return what a reader must know to compare: cores, memory, versions of what all share."""
    return {
        "cores": str(os.cpu_count()),
        "memory GiB": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f}",
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "Python": platform.python_version(),
        "PostgreSQL": cluster.version(),
        "redis": redis_version() or "none",
        "node": _node(),
    }


def load() -> str:
    """Return how busy the machine is already, or an empty string where that is not told."""
    told = Path("/proc/loadavg")
    return told.read_text().split(" ", 1)[0] if told.exists() else ""


def is_busy() -> bool:
    """Return whether a core or more is taken before anything of ours runs."""
    return float(load() or 0) >= 1.0


def _node() -> str:
    program = shutil.which("node")
    if program is None:
        return "none"
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
