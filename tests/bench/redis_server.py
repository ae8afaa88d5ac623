"""A redis of the run's own, for the peers that need one."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.waiting import wait_until


@contextmanager
def redis_server(directory: Path, port: int) -> Iterator[int | None]:
    """Run redis in memory only, its fastest setting, and yield its port; None where it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    arguments = [
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(directory),
    ]
    with (directory / "redis.log").open("w") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: _answers(port), 20, "redis answers")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def forget_everything(port: int) -> None:
    """Empty it: a fresh redis for the next peer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        connection.recv(64)


def version() -> str:
    """Return what is installed, or an empty string."""
    program = shutil.which("redis-server")
    if program is None:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return next((word[2:] for word in said.split() if word.startswith("v=")), said.strip())


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False
