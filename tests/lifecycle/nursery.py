"""Supervisors forked from a process that has imported what they import: most of a start is that, for each the same.

Their command line is read as it is typed, and their settings are loaded by each of them: nothing here reads any.
"""

import multiprocessing
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import setproctitle

ROOT = Path(__file__).parents[2]
# They need no settings. What does need them, our own models and admin among it, each supervisor imports for itself.
PRELOADED = (
    "asyncio",
    "django.contrib.admin",
    "django.contrib.auth.hashers",
    "django.contrib.auth.management",
    "django.contrib.messages.api",
    "django.contrib.staticfiles.apps",
    "django.contrib.staticfiles.finders",
    "django.core.checks",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.migrations.executor",
    "django.template.backends.django",
    "django.template.loader_tags",
    "django.utils.translation.trans_real",
    "django.views.debug",
    "pgsupervise.supervisor.cli",
    "sendgrid",
    __name__,
)
_forkserver = multiprocessing.get_context("forkserver")


class Forked:
    """A process from the nursery, with what is used of `subprocess.Popen`."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self._process.start()
        assert process.pid is not None
        self.pid: int = process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, a signal's number negative; None as long as it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return how it ended, None if it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return how it ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)


def forked(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
    """Run the command line `pgsupervise` in a process from the nursery."""
    log.touch()
    return Forked(_forkserver.Process(target=_supervise, args=(list(arguments), dict(environment), str(log))))


@contextmanager
def nursery() -> Iterator[None]:
    """Run the process that the others are forked from; it ends with this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DJANGO_SETTINGS_MODULE", raising=False)  # so that a module which does read settings is found out
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        _forkserver.set_forkserver_preload(list(PRELOADED))
        forkserver.ensure_running()
    yield


def _supervise(arguments: list[str], environment: dict[str, str], log: str) -> None:
    setproctitle.getproctitle()  # it finds the title's place by the environment as the kernel has laid it
    os.setsid()  # a group of its own, as with start_new_session
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    file = os.open(log, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    from pgsupervise.supervisor.cli import main

    main(arguments, prog_name="pgsupervise")
