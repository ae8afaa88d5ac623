"""Between fork and loop: a child makes itself independent of its parent before it serves."""

import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import psycopg
import setproctitle

from pgsupervise.metrics import recorder, store
from pgsupervise.partitions import workers
from pgsupervise.partitions.backoff import RECONNECT
from pgsupervise.partitions.connection import connect, is_lost

from . import logs
from .context import ChildContext
from .exits import ExitCode
from .orphans import birth_of
from .signals import SignalInbox, let_go_of_forks, reset_in_child

logger = logging.getLogger(__name__)
BOOT_ANSWER_SECONDS = 5.0

Serve = Callable[[ChildContext], int]


class Closeable(Protocol):
    """A socket or a pipe."""

    def close(self) -> None:
        """Close it in this process."""
        ...


def child_main(serve: Serve, make_context: Callable[..., ChildContext], inherited: Sequence[Closeable]) -> None:
    """Run a child and end the process with its exit code; never returns.

    `make_context` lacks only the inbox. `inherited` are the parent's sockets and pipes that are none of this child's
    business: held open here they would outlive the parent, and its successor would find the port in use.
    """
    code: int = ExitCode.ERROR
    try:
        reset_in_child()
        for thing in inherited:
            thing.close()
        context = make_context(inbox=SignalInbox(signal.SIGTERM, signal.SIGINT))
        logs.identify(context.name)
        store.identify(context.name)
        setproctitle.setproctitle(f"pgsupervise: {context.name}")
        context.inbox.open()
        for number in (signal.SIGHUP, signal.SIGUSR2):  # a terminal's hang-up, and questions, are the parent's business
            signal.signal(number, signal.SIG_IGN)
        let_go_of_forks()
        context.board.born(os.getpid(), birth_of(os.getpid()))
        context.board.instance = context.id
        code = serve(context)
    except psycopg.errors.UndefinedTable as error:
        logger.critical(
            "the database is not migrated: run `manage.py migrate`", extra={"fields": {"error": str(error)}}
        )
        code = ExitCode.CANNOT_BOOT
    except BaseException:
        logger.critical("ended by a fault", exc_info=True)
    finally:
        logging.shutdown()
        # Not sys.exit: atexit handlers and buffers of before the fork are the parent's business.
        os._exit(code)


def register(context: ChildContext) -> bool:
    """Announce the process, trying with backoff while the database is away; False when told to stop meanwhile."""
    failures = 0
    while not context.draining.is_set():
        context.board.beat(time.monotonic())
        try:
            with connect(
                context.project.conninfo, f"boot {context.name}", answer_seconds=BOOT_ANSWER_SECONDS
            ) as connection:
                workers.register_worker(connection, **_identity(context))
            return True
        except psycopg.Error as error:
            if not is_lost(error):
                raise
            failures += 1
            recorder.database_error("boot")
            fields = {"failures": failures, "error": str(error).strip().splitlines()[0]}
            logger.warning("database not reachable yet", extra={"fields": fields})
            context.inbox.wait(RECONNECT.delay(failures).total_seconds() + 0.05)
            context.take_signals()
            if os.getppid() != context.parent_pid:
                context.drain()
    return False


def _identity(context: ChildContext) -> dict[str, Any]:
    """Return the fields of the process's heartbeat row."""
    return {
        "id": context.id,
        "supervisor": context.supervisor_id,
        "kind": context.kind,
        "slot": context.slot,
        "host": socket.gethostname()[:255],
        "pid": os.getpid(),
        "partitions": context.config.partitions,
        "processes": context.config.workers,
        "dead_after": context.config.dead_after.total_seconds(),
    }


def end_on_failure(thread: threading.Thread) -> None:
    """Make a fault in a thread end the whole process: a worker without one of its loops would look alive for ever."""
    run = thread.run

    def guarded() -> None:
        try:
            run()
        except BaseException:
            logger.exception("a loop ended by a fault", extra={"fields": {"loop": thread.name}})
            logging.shutdown()
            os._exit(ExitCode.ERROR)

    thread.run = guarded  # type: ignore[method-assign]  # one guard for every loop


def quiet_collector() -> None:
    """Move everything loaded so far out of the collector's sight, so that collecting does not copy shared pages."""
    gc.collect()
    gc.freeze()
