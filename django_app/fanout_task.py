"""The task that works through a run, slice by slice, wherever it was left."""

import time
from contextlib import suppress

from django.db import DatabaseError, InterfaceError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .bulk import write_connection
from .fanout_slices import read_slice, write_slice
from .followers import source_named
from .models import FanOut, FanOutState
from .tasks import task
from .texts import one_line

SLICE = 1000
SECONDS = 2.0
"""How long a task goes on with a run before it leaves the worker to the tasks behind it."""
MAX_ERROR = 1000


@task(name="pgsupervise.fan_out", max_attempts=20)
def go_on(run: int, bucket: int, link: int) -> None:
    """Tell the next followers, as many as there is time for, and enqueue the next task for the others.

    A task of which another one has taken over, by its number `link`, does nothing: a run has one that works.
    """
    found = FanOut.objects.filter(bucket=bucket, id=run, link=link, state=FanOutState.RUNNING).first()
    if found is None:
        return
    until = time.monotonic() + SECONDS
    try:
        while _tell_next(found, is_leaving=time.monotonic() >= until):
            pass
    except Exception as error:
        with suppress(DatabaseError, InterfaceError):  # the task's own failure says it, too
            failed = FanOut.objects.filter(bucket=bucket, id=run, link=link)
            failed.update(error=one_line(f"{type(error).__name__}: {error}")[:MAX_ERROR])
        raise


def _tell_next(run: FanOut, *, is_leaving: bool) -> bool:
    """Write a slice; return whether this task goes on. The project's own queryset is read before the transaction."""
    source = source_named(run.source)
    part = read_slice(source(run.argument), source.recipient, run.place, SLICE)
    is_leaving = is_leaving and not part.is_last
    connection = write_connection(FanOut)
    is_own = not connection.in_atomic_block
    with transaction.atomic(using=connection.alias):
        if is_own:
            _bound(connection)
        if not write_slice(run, part, links=int(is_leaving)):
            return False
        if is_leaving:
            enqueue(run)
    return not (is_leaving or part.is_last)


def _bound(connection: BaseDatabaseWrapper) -> None:
    """Let the server end the session where this process is stopped in the middle: another one may be waiting for it."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '10s'")


def enqueue(run: FanOut) -> None:
    """Enqueue the task that goes on with a run."""
    go_on.enqueue(run.pk, run.bucket, run.link)
