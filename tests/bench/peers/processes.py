"""A peer's processes: one that produces and ends, and workers that run until they are told to end."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.peers.peer import INSIDE, Peer
from tests.bench.section import AbsentError

PRODUCER_SECONDS = 180
STOP_SECONDS = 10
_OURS_ALONE = ("PYTHONPATH", "DJANGO_SETTINGS_MODULE", "PGSUPERVISE_DSN", "VIRTUAL_ENV", "PYTHONDEVMODE")


@dataclass(frozen=True, slots=True)
class Processes:
    """How to start what belongs to a peer."""

    peer: Peer
    log: Path
    given: Mapping[str, str]
    """Where the servers and the ledgers are, as environment variables."""

    def produce(self, *arguments: object) -> float:
        """Run the producer to its end and return the seconds that it measured."""
        command = [*self._resolved(self.peer.producer), *map(str, arguments)]
        try:
            done = subprocess.run(
                command, **self._where(), capture_output=True, text=True, check=False, timeout=PRODUCER_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise AbsentError(f"its producer did not end ({arguments[0]})") from error
        if done.returncode != 0:
            with self.log.open("a") as log:
                log.write(done.stdout + done.stderr)
            raise AbsentError(f"its producer failed ({arguments[0]}): {_last_line(done.stderr)}")
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"]) if done.stdout.strip() else 0.0

    @contextmanager
    def working(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Run the workers meanwhile."""
        started: list[subprocess.Popen[bytes]] = []
        try:
            with self.log.open("a") as log:
                for command in self.peer.workers:
                    started.append(  # noqa: PERF401 - what has been started must be known if the next one cannot be
                        subprocess.Popen(
                            self._resolved(command), **self._where(), stdout=log, stderr=log, start_new_session=True
                        )
                    )
            yield started
        finally:
            _stop(started)

    def _resolved(self, command: Sequence[str]) -> list[str]:
        return [self.peer.environment.program(command[0]), *command[1:]]

    def _where(self) -> dict[str, Any]:
        own = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
        folder = INSIDE / self.peer.folder
        path = os.pathsep.join([str(INSIDE / "common"), str(folder)])
        quiet = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": path}
        return {
            "cwd": folder,
            "env": {**own, **quiet, **self.peer.environment.variables(), **self.peer.settings, **self.given},
        }


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    for process in processes:
        with suppress(ProcessLookupError):  # the group may outlive its leader
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
