"""Statements and WAL: what a task and an event cost the server."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pgsupervise.django_app import embedded
from tests.bench.figures import Sample
from tests.bench.own.flushing import flushing
from tests.bench.own.place import Place
from tests.bench.own.samples import samples_of
from tests.bench.own.working import warmed, workers

sample = samples_of("writes")
TASKS = 50_000
DIGESTS = 5_000
_LSN = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
