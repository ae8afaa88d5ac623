"""From a configuration to a running supervisor: every fault is told before anything starts."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pgsupervise.metrics import store

from . import memory
from .config import Config
from .exits import ExitCode
from .project import Project
from .rolling import JITTER
from .supervisor import Supervisor


class CompositionRoot(Protocol):
    """What the module that puts the Django side together offers."""

    ProjectError: type[Exception]
    """The project does not load; each of its arguments is a fault, for its developer."""

    def load(self, settings_module: str | None) -> Project:
        """Return the project; it has no thread and no connection afterwards."""
        ...

    def problems(self) -> list[str]:
        """Return every fault of the loaded project's configuration, each with its cure."""
        ...


@dataclass(frozen=True, slots=True)
class Examined:
    """What there is to start with, and every fault that keeps it from starting."""

    project: Project | None
    listener: socket.socket | None
    faults: list[str]

    def close(self) -> None:
        """Give the port back where nothing will be started."""
        if self.listener is not None:
            self.listener.close()


def examine(config: Config, root: CompositionRoot) -> Examined:
    """Look for all faults at once; nothing is started."""
    listener, port_faults = bind(config)
    faults = [*config.problems(), *port_faults]
    project = None
    try:
        project = root.load(config.settings)
        faults += root.problems()
        faults += _memory_faults(config)
        faults += _limit_faults(config, project)
    except root.ProjectError as error:
        faults += map(str, error.args)
    return Examined(project, listener, faults)


def _memory_faults(config: Config) -> list[str]:
    held = memory.resident_mib(os.getpid())
    if config.max_memory is None or config.max_memory < 1 or config.max_memory * (1 - JITTER) > held:
        return []
    return [
        f"--max-memory is {config.max_memory} MiB, and the project alone takes {held:.0f}: each worker would be "
        f"replaced as soon as it serves; make it at least {2 * held:.0f}"
    ]


def _limit_faults(config: Config, project: Project) -> list[str]:
    """A worker may make one call at least, or it would never send: fewer calls than workers cannot be kept."""
    return [
        f"channel {name!r} may have {spec.limit.in_flight} calls in flight, fewer than the {config.workers} workers, "
        "each of which makes one: allow as many as all supervisors together have workers, or lower --processes"
        for name, spec in project.channels.items()
        if spec.limit.in_flight is not None and 1 <= spec.limit.in_flight < config.workers
    ]


def start(config: Config, root: CompositionRoot) -> int:
    """Check everything, then supervise until told to stop; return the exit code."""
    examined = examine(config, root)
    if examined.faults or examined.project is None or examined.listener is None:
        examined.close()
        tell(examined.faults)
        return ExitCode.BAD_CONFIGURATION
    # Named by user and port, which nobody else has: what a killed supervisor left is found and wiped by its successor.
    port = examined.listener.getsockname()[1]
    counts = Path(tempfile.gettempdir()) / f"pgsupervise-metrics-{os.getuid()}-{port}"
    try:
        store.use_directory(counts)
    except OSError as error:
        tell([f"cannot keep the counters in {counts} ({error}): set TMPDIR to a directory that this user can write to"])
        return ExitCode.BAD_CONFIGURATION
    try:
        return Supervisor(config, examined.project, examined.listener).run()
    finally:
        shutil.rmtree(counts, ignore_errors=True)


def tell(faults: Sequence[str]) -> None:
    """Write faults to standard error, one a line."""
    for fault in faults:
        sys.stderr.write(f"error: {fault}\n")


def bind(config: Config) -> tuple[socket.socket | None, list[str]]:
    """Return the exporter's listening socket, or why there is none. Children inherit it, so restarts keep it open."""
    if not 0 <= config.metrics_port <= 65535:
        return None, []  # told by Config.problems()
    where = f"{config.metrics_host}:{config.metrics_port}"
    listener = None
    try:
        family, _, _, _, address = socket.getaddrinfo(
            config.metrics_host, config.metrics_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        return None, [
            f"cannot listen on {where} ({getattr(error, 'strerror', None) or error}): "
            "choose another --metrics-port or --metrics-host"
        ]
    return listener, []
