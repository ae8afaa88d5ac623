"""The chaos suite's settings with one fence broken on purpose: results are written whatever claim they belong to.

The suite must fail with these. There is no switch for it in the product: the text of two statements is changed here,
in the supervisor's process before it forks.
"""

from typing import LiteralString

from pgsupervise.partitions import statements, tasks
from tests.chaos.settings import *  # noqa: F403 - the same but for the fence

FENCED = ("archive_tasks", "delete_archived_tasks")
FENCES = ("AND t.claim_token = ended.token", "t.ctid = ended.place AND ")


def _without_fence(name: str) -> LiteralString:
    statement = statements.load(name)
    if name not in FENCED:
        return statement
    # A row that was claimed anew has another place too.
    for fence in FENCES:
        if fence not in statement:
            raise RuntimeError(f"{name}.sql has no {fence!r}: there is nothing to break, adapt the test")
        statement = statement.replace(fence, "")
    return statement


setattr(tasks, "load", _without_fence)  # noqa: B010 - the module does not export what it imported
