"""Cancelling: asking for the end of one task. The caller's transaction decides whether it was ever asked for."""

from .bulk import write_connection
from .models import Task
from .texts import shorten

SMALLEST, LARGEST = -(2**63), 2**63 - 1  # of PostgreSQL's bigint
# Who asks again keeps the first time. Only live tasks are in this table.
_ASK = "UPDATE pgsupervise_task SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE id = %s"


def cancel(task_id: int) -> bool:
    """Ask, in the caller's transaction, for a task's end; return whether it was still live.

    Once that transaction has committed, a task that waits never begins, and one that runs is interrupted within about
    a heartbeat: its process is killed. Either ends as CANCELLED, unless it has returned or raised for the last time
    before. False means that it has ended already, or that there is no task of this id. Asking twice is asking once.

    Until the caller commits, the worker cannot write down how a running task ended, so call it late in a long
    transaction. Raises TypeError for anything but an int, and RuntimeError while the project is being imported.
    """
    given: object = task_id
    if not isinstance(given, int) or isinstance(given, bool):
        cure = "it must be an int, the id that enqueue() returned"
        raise TypeError(f"task_id is {shorten(given)} ({type(given).__name__}): {cure}")
    if not SMALLEST <= task_id <= LARGEST:
        return False  # no row can have it, and PostgreSQL would look at each
    with write_connection(Task).cursor() as cursor:
        cursor.execute(_ASK, [task_id])
        return bool(cursor.rowcount)
