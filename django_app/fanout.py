"""Fan-out: one call tells all followers of an object, however many there are.

    notify_followers("posts", followers_of(author), {"text": post.title}, run=f"post-{post.pk}", actor=author.name)

The caller's transaction writes one row and one task, whatever the number of followers; workers write the events in
slices, and go on after a crash where the last slice ended. All events occurred when the call was made, so the windows
of the followers do not depend on how busy the workers are.
"""

from datetime import datetime
from typing import Any

from django.db import models, transaction

from pgsupervise.partitions.buckets import bucket_of

from . import clock, fanout_task
from .abouts import about_of
from .bulk import write_connection
from .fanout_slices import read_slice, write_slice
from .followers import Followers, Rows, follower_source, readable, source_named
from .models import FanOut, FanOutState
from .notifications import _COLUMNS, Notification, _row
from .policies import Policy, registered
from .subscriptions import followers_of, subscribe, unsubscribe, unsubscribe_all
from .texts import check_text, shorten

__all__ = [
    "follower_source",
    "followers_of",
    "notify_followers",
    "resume_fan_out",
    "subscribe",
    "unsubscribe",
    "unsubscribe_all",
]

MAX_RUN = 200
MAX_TENANT = 100
MOST_AT_ONCE = 10_000
"""Followers of a plain queryset, which are told in the caller's own transaction."""


def notify_followers(
    policy: Policy | str,
    followers: Followers | Rows,
    data: dict[str, Any] | None = None,
    *,
    run: str,
    actor: str = "",
    object: str = "",  # noqa: A002 - the word that templates use
    tenant: str = "",
    about: models.Model | None = None,
    occurred_at: datetime | None = None,
    recipient_field: str = "recipient",
) -> FanOut:
    """Tell the followers of an object, each once, and return the run; `run` is its unique name (200 characters).

    `followers`: `followers_of(object)` or a follower source's `.of(argument)`, of any number, for the workers to tell;
    or a queryset of at most 10,000 rows, whose `recipient_field` has the recipient, told at once. A second call with
    the same `run` writes nothing and returns the first one's; of two at once the second waits for the first one's
    transaction. The rest is as in `notify`. Raises LookupError for an unknown source, and as `notify` does.
    """
    check_text(run, "run", MAX_RUN, required=True)
    event = Notification("follower", data, actor, object, occurred_at, tenant, about)
    values = _columns(registered(policy), event)
    if isinstance(followers, Followers):
        values |= {"source": source_named(followers.source).name, "argument": followers.argument}
    else:
        readable(followers, recipient_field)
    with transaction.atomic(using=write_connection(FanOut).alias):
        found, is_new = FanOut.objects.get_or_create(bucket=bucket_of(run), name=run, defaults=values)
        if is_new:
            _start(found, followers, recipient_field)
    return found


def _columns(policy: Policy, event: Notification) -> dict[str, Any]:
    """Return what all of the events say. Raises as `notify` does."""
    check_text(event.tenant, "tenant", MAX_TENANT)
    name = about_of(event.about)
    row = dict(zip(_COLUMNS.split(", "), _row(policy, event), strict=False))
    return {
        **{column: row[column] for column in ("policy", "key", "actor", "object")},
        "data": event.data or {},
        "tenant": event.tenant,
        "about_type": name.type,
        "about_id": name.id,
        "occurred_at": event.occurred_at or clock.event_time(),
    }


def _start(run: FanOut, followers: Followers | Rows, field: str) -> None:
    if isinstance(followers, Followers):
        fanout_task.enqueue(run)
        return
    part = read_slice(followers, field, "", MOST_AT_ONCE)
    if not part.is_last:
        raise ValueError(
            f"the followers are a queryset of more than {MOST_AT_ONCE} rows, too many for the caller's transaction: "
            "declare a function that returns it with @follower_source, and pass its .of(argument) to have the workers "
            "tell them"
        )
    write_slice(run, part)
    run.refresh_from_db()


def resume_fan_out(run: FanOut | str) -> bool:
    """Let a new task go on with a run whose own has died; False where it has told everybody.

    `run` is its row or its name. The followers who were told are not told again. Raises LookupError for a name that no
    run has, TypeError for anything else.
    """
    if isinstance(run, str):
        run = _named(run)
    given: object = run
    if not isinstance(given, FanOut):
        raise TypeError(f"run is {shorten(given)} ({type(given).__name__}): give a FanOut, or its name")
    with transaction.atomic(using=write_connection(FanOut).alias):
        rows = FanOut.objects.select_for_update().filter(bucket=run.bucket, id=run.pk, state=FanOutState.RUNNING)
        found = rows.first()
        if found is None or not found.source:
            return False
        found.link += 1
        rows.update(link=found.link)
        fanout_task.enqueue(found)
    return True


def _named(name: str) -> FanOut:
    found = FanOut.objects.filter(bucket=bucket_of(name), name=name).first()
    if found is None:
        raise LookupError(f"there is no run {shorten(name)}: give the name that notify_followers(run=...) was given")
    return found
