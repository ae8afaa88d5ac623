"""The fixtures keep what conftest.py promises, which all other tests lean on."""

import uuid

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from pgsupervise.django_app import embedded
from pgsupervise.django_app.models import Clock, Lease, Task
from tests.conftest import Connect


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_starts_with_empty_tables_free_leases_and_the_real_clock(db: str, connect: Connect, run: int) -> None:
    assert Task.objects.count() == 0
    assert Lease.objects.filter(owner=None).count() == 257
    assert Clock.objects.get().simulated_at is None

    assert Task.objects.create(name="first").id == 1
    Lease.objects.filter(bucket__lt=8).update(owner=uuid.uuid4())
    Clock.objects.update(simulated_at=timezone.now())
    connect().execute("SELECT FROM pgsupervise_task FOR UPDATE")


def test_a_crashed_server_comes_back_with_what_was_committed(own_server: embedded.Server, own_dsn: str) -> None:
    Task.objects.create(name="committed")
    connection.close()

    own_server.stop_server("immediate")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own_dsn)
    own_server.start_server()

    assert Task.objects.get().name == "committed"
