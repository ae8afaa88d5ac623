"""Tasks for the tests. Each run leaves a row in the ledger, so that a test sees runs and not only states."""

import ctypes
import multiprocessing
import os
import re
import signal
import time
from datetime import timedelta

from django.db import connection, transaction

from pgsupervise.django_app.tasks import task
from pgsupervise.supervisor import task_loop

# A test may need a worker that sleeps until it is woken: the looks of itself would hide that nobody has woken it.
task_loop.ASLEEP_SECONDS = float(os.environ.get("TEST_ASLEEP_SECONDS", task_loop.ASLEEP_SECONDS))

LEDGER = """
CREATE TABLE IF NOT EXISTS ledger (
    number bigint, pid integer, began timestamptz NOT NULL DEFAULT clock_timestamp(), ended timestamptz
)
"""


def _begin(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO ledger (number, pid) VALUES (%s, %s)", [number, os.getpid()])


def _end(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ledger SET ended = clock_timestamp() WHERE number = %s AND pid = %s AND ended IS NULL",
            [number, os.getpid()],
        )


@task
def record(number: int, seconds: float = 0.0) -> None:
    """Note the beginning and the end of a run."""
    _begin(number)
    time.sleep(seconds)
    _end(number)


@task
def tick() -> None:
    """Take no time at all."""


@task
def wait_without_database(seconds: float) -> None:
    """Do something long that needs no database, as a call of another service does."""
    time.sleep(seconds)


@task(max_attempts=3)
def fail(number: int) -> None:
    """Note the run and raise."""
    _begin(number)
    raise ValueError(f"number {number} is not to my taste")


@task
def kill_own_process(number: int) -> None:
    """Die as a task does that the kernel kills for its memory."""
    _begin(number)
    os.kill(os.getpid(), 9)


@task
def terminate_a_child(number: int) -> None:
    """Fork a child as multiprocessing does, and end it by TERM."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join(30)
    _begin(-15 if child.exitcode == -signal.SIGTERM else 0)


@task
def ignore_term(number: int) -> None:
    """Do what a library does that handles signals itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _begin(number)


@task
def leave_a_broken_transaction(number: int) -> None:
    """Fail inside an atomic block, as application code does."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


@task(hard_timeout=timedelta(seconds=1), max_attempts=2)
def hang_if(number: int, hang: bool) -> None:
    """Be quick, or be killed."""
    _begin(number)
    if hang:
        time.sleep(3600)
    _end(number)


@task(soft_timeout=timedelta(seconds=1), max_attempts=1)
def sleep_too_long(number: int) -> None:
    """Meet the soft timeout in a query."""
    _begin(number)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(3600)")


@task(hard_timeout=timedelta(seconds=1), on_timeout="dead")
def hang_once(number: int) -> None:
    """Be killed, and not be tried again."""
    _begin(number)
    time.sleep(3600)


@task(hard_timeout=timedelta(seconds=1), max_attempts=1)
def hold_the_interpreter(number: int) -> None:
    """Let no other thread of the process run, as a bad regular expression does."""
    _begin(number)
    re.match(r"(a+)+$", "a" * 60 + "b")


@task
def hold_the_interpreter_for_ever(number: int) -> None:
    """The same as a library does that waits and keeps the interpreter's lock; nobody has said how long it may take."""
    _begin(number)
    while True:  # a signal ends the call, as it ends none of a regular expression
        ctypes.PyDLL(None).sleep(3600)


_kept: list[bytearray] = []


@task
def leak(number: int, mib: int) -> None:
    """Keep memory after the end."""
    _kept.append(bytearray(mib * 2**20))
    _begin(number)
