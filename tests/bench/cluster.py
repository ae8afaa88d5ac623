"""The servers of a run: one PostgreSQL and, where the machine has it, one redis, both on loopback TCP."""

import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from pgsupervise.django_app import embedded
from tests.bench.redis_server import redis_server

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "1GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "max_wal_size": "4GB",
}


class LoopbackServer(embedded.Server):
    """The embedded server, reached by TCP as all peers' drivers can."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        super().__init__(directory, {**SETTINGS, **(settings or {}), "port": str(self.port)})

    def dsn(self, dbname: str = "postgres") -> str:
        """Return the connection string of one of the server's databases."""
        return make_conninfo(host="127.0.0.1", port=self.port, user="postgres", dbname=dbname)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers that run, and the ways to fresh databases."""

    server: LoopbackServer
    redis_port: int | None
    """Where redis answers; None where there is no redis-server."""

    def database(self, name: str) -> str:
        """Make a fresh database, dropping a former one of that name, and return its connection string."""
        self.server.drop_database(name)
        return self.server.create_database(name)

    def settle(self, dsn: str) -> None:
        """Vacuum, analyze and checkpoint, so that neither old statistics nor a background write decides a figure."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    def version(self) -> str:
        """Return PostgreSQL's version."""
        with psycopg.connect(self.server.dsn()) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]).split(" ", 1)[0] if row else ""


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run the servers; they end with this process, and leave nothing."""
    with ExitStack() as stack:
        data = _directory_on_disk()
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        server = LoopbackServer(data / "postgresql")
        server.hold()
        stack.callback(server.stop)
        yield Cluster(server, stack.enter_context(redis_server(data, free_port())))


def _directory_on_disk() -> Path:
    # /tmp may be memory, where a commit costs nothing; and the account that PostgreSQL runs as must get through.
    on_disk = Path("/var/tmp")  # noqa: S108 - mkdtemp makes a directory of its own in it
    directory = Path(tempfile.mkdtemp(prefix="pgsupervise-bench-", dir=on_disk if on_disk.is_dir() else None))
    directory.chmod(0o711)
    return directory


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
