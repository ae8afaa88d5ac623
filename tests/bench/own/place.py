"""Where one of our own sections measures: fresh migrated databases, folders, and how much of everything."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.bench.section import Bench
from tests.lifecycle.supervising import ROOT

SETTINGS = "tests.bench.own.project.settings"
TEMPLATE = "own_template"


@dataclass(frozen=True, slots=True)
class Place:
    """A run's servers and its scale: 1.0 is what the figures are published with."""

    bench: Bench

    @property
    def scale(self) -> float:
        """The share of everything."""
        return self.bench.scale

    def amount(self, full: int, least: int = 1) -> int:
        """Return how many of something: `full`, scaled."""
        return max(least, round(full * self.scale))

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Make a migrated database, an empty start, and drop it at the end: the giant ones would fill the disk."""
        server = self.bench.cluster.server
        self._ensure_template()
        server.drop_database(name)
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            names = sql.Identifier(name), sql.Identifier(TEMPLATE)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        try:
            yield server.dsn(name)
        finally:
            server.drop_database(name)

    def folder(self) -> Path:
        """Return a new folder for logs and tallies."""
        return Path(tempfile.mkdtemp(prefix="own-", dir=self.bench.work))

    def run(self, module: str, dsn: str, **parameters: Any) -> Any:
        """Run one of `programs/` in a process of its own, with Django set up for the database; return its result."""
        command = [sys.executable, "-m", f"tests.bench.own.programs.{module}", json.dumps(parameters)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment(dsn))
        if done.returncode != 0:
            raise RuntimeError(f"{module} failed:\n{done.stderr}")
        return json.loads(done.stdout)

    def _ensure_template(self) -> None:
        server = self.bench.cluster.server
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE]).rowcount:
                return
        command = [sys.executable, "-m", "django", "migrate", "--verbosity", "0", "--settings", SETTINGS]
        subprocess.run(command, check=True, cwd=ROOT, env=environment(server.create_database(TEMPLATE)))


def environment(dsn: str) -> dict[str, str]:
    """Return the environment of a process that uses the database through Django."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": SETTINGS, "PGSUPERVISE_DSN": dsn}
