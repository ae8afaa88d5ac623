"""A real PgBouncer in transaction mode, in front of the tests' server."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from tests.waiting import wait_until

POOL_SIZE = 8
SIDES = {
    "clients": ("cl_active", "cl_waiting"),
    "servers": ("sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login"),
}
CONFIGURATION = """
[databases]
* = host={server} port=5432 user=postgres

[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = {directory}
auth_type = any
pool_mode = transaction
max_client_conn = 500
default_pool_size = {pool_size}
"""


class PgBouncer:
    """One running PgBouncer and the sockets' directory, which is its own."""

    def __init__(self, program: str, server_sockets: Path, directory: Path) -> None:
        self._directory = directory
        self._log = directory / "log"
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(server=server_sockets, directory=directory, pool_size=POOL_SIZE), encoding="utf-8"
        )
        # As root it refuses to run, and only the server's own account may enter the directory of the server's socket.
        account = server_sockets.stat() if os.geteuid() == 0 else None
        uid, gid = (account.st_uid, account.st_gid) if account else (None, None)
        if account:
            os.chown(directory, account.st_uid, account.st_gid)
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*with_us(), program, str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
                start_new_session=True,  # Ctrl-C is for the test, which ends it
            )

    def dsn(self, dbname: str) -> str:
        """Return the connection string of one of the server's databases, through the pool."""
        return make_conninfo(host=str(self._directory), port=5432, user="postgres", dbname=dbname)

    def pool(self, dbname: str) -> dict[str, int]:
        """Return how many sessions of clients one database's pool serves, and on how many connections to the server."""
        with psycopg.connect(self.dsn("pgbouncer"), autocommit=True, row_factory=dict_row) as console:
            pools = [row for row in console.execute("SHOW POOLS").fetchall() if row["database"] == dbname]
        return {side: sum(int(row[column]) for row in pools for column in SIDES[side]) for side in SIDES}

    def answers(self) -> bool:
        """Return whether it takes connections; fails with its log if it has ended."""
        assert self.process.poll() is None, self._log.read_text()
        try:
            psycopg.connect(self.dsn("pgbouncer")).close()
        except psycopg.OperationalError:
            return False
        return True


def with_us() -> list[str]:
    """Return the start of a command whose process ends with ours, also when ours is killed."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def installed() -> str:
    """Return where a PgBouncer is; skips the test where there is none."""
    # Debian puts it among the programs for root, which are not on everybody's path.
    program = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if program is None:
        pytest.skip("pgbouncer is not installed")
    return program


@contextmanager
def running(program: str, server_sockets: Path) -> Iterator[PgBouncer]:
    """Run one in front of the server whose socket is in `server_sockets`."""
    directory = Path(tempfile.mkdtemp(prefix="pgsupervise-pgb-"))
    try:
        bouncer = PgBouncer(program, server_sockets, directory)
        try:
            wait_until(bouncer.answers, 60, "PgBouncer answers")
            yield bouncer
        finally:
            # It keeps nothing. Asked by TERM, it would from 1.23 on wait until its clients have gone.
            bouncer.process.kill()
            bouncer.process.wait()
    finally:
        shutil.rmtree(directory)
