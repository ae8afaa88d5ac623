"""From a configuration to a running supervisor: every fault is told before anything starts."""

import logging
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from pgsupervise.metrics import store

from .config import Config
from .exits import ExitCode
from .project import Project
from .supervisor import Supervisor

logger = logging.getLogger(__name__)


class CompositionRoot(Protocol):
    """What the module that puts the Django side together offers."""

    def problems(self, settings: str | None) -> list[str]:
        """Return every fault of the project's configuration, each with its cure."""
        ...

    def load(self, settings: str | None) -> Project:
        """Return the project; it has no thread and no connection afterwards."""
        ...


def start(config: Config, root: CompositionRoot) -> int:
    """Check everything, then supervise until told to stop; return the exit code."""
    listener, port_faults = bind(config)
    faults = [*config.problems(), *port_faults, *root.problems(config.settings)]
    if faults or listener is None:
        for fault in faults:
            sys.stderr.write(f"error: {fault}\n")
        return ExitCode.BAD_CONFIGURATION
    project = root.load(config.settings)
    counts = Path(tempfile.mkdtemp(prefix="pgsupervise-metrics-"))
    try:
        store.use_directory(counts)
        return Supervisor(config, project, listener).run()
    finally:
        shutil.rmtree(counts, ignore_errors=True)


def bind(config: Config) -> tuple[socket.socket | None, list[str]]:
    """Return the exporter's listening socket, or why there is none. Children inherit it, so restarts keep it open."""
    if not 0 <= config.metrics_port <= 65535:
        return None, []  # told by Config.problems()
    where = f"{config.metrics_host}:{config.metrics_port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            config.metrics_host, config.metrics_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
    except OSError as error:
        return None, [f"cannot listen on {where} ({error.strerror}): choose another --metrics-port or --metrics-host"]
    return listener, []
