"""The inbox of a recipient: what there is, what is unread, and what its reader does with it.

Reading a message is reading what it tells: its events are marked as read in the same transaction, so a mail about them
that still waits is not sent.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal

from django.db import transaction
from django.db.models import QuerySet

from pgsupervise.partitions.buckets import bucket_of

from .bulk import write_connection
from .models import InboxMessage
from .models.fields import TransactionNow
from .reading import CHUNK, mark_read
from .texts import check_text, shorten

MOST_COUNTED = 1000
PAGE, LONGEST_PAGE = 20, 100


class Shelf(StrEnum):
    """Which messages: those that are kept, of them the unread ones, and those that were put away."""

    KEPT = "kept"
    UNREAD = "unread"
    ARCHIVED = "archived"


def messages(recipient: str, shelf: Shelf = Shelf.KEPT) -> QuerySet[InboxMessage]:
    """Return a recipient's messages, the newest first."""
    mine = _of(recipient).order_by("-id")
    match shelf:
        case Shelf.KEPT:
            return mine.filter(archived_at__isnull=True)
        case Shelf.UNREAD:
            return mine.filter(archived_at__isnull=True, read_at__isnull=True)
        case Shelf.ARCHIVED:
            return mine.filter(archived_at__isnull=False)


def unread_count(recipient: str) -> int:
    """Return how many messages are unread, counted up to 1,000: a badge shows no more."""
    return messages(recipient, Shelf.UNREAD).order_by()[:MOST_COUNTED].count()


def page(
    recipient: str, shelf: Shelf = Shelf.KEPT, *, before: int | None = None, limit: int = PAGE
) -> list[InboxMessage]:
    """Return a page of messages, those with an id below `before`: what arrives meanwhile moves none of them."""
    found = messages(recipient, shelf)
    if before is not None:
        found = found.filter(id__lt=before)
    return list(found[: max(1, min(limit, LONGEST_PAGE))])


def mark_messages_read(recipient: str, ids: Iterable[int] | Literal["all"]) -> int:
    """Mark messages, and the events that they tell, as read; return how many were unread.

    In the caller's transaction, if there is one. Ids that are not the recipient's are passed over, so they may come
    from its browser. Waits and raises as `reading.mark_read` does.
    """
    mine = _chosen(recipient, ids).filter(read_at__isnull=True)
    if ids == "all":
        mine = mine.filter(archived_at__isnull=True)
    with transaction.atomic(using=mine.db):
        # In the order of their ids, so that two who read the same ones wait for each other instead of both.
        found = list(mine.order_by("id").select_for_update().values_list("id", "item_ids"))
        for start in range(0, len(found), CHUNK):
            chunk = [id_ for id_, _ in found[start : start + CHUNK]]
            _chosen(recipient, chunk).update(read_at=TransactionNow())
        mark_read(recipient, [event for _, events in found for event in events])
    return len(found)


def mark_messages_unread(recipient: str, ids: Iterable[int]) -> int:
    """Make messages unread again; return how many were read. Their events stay read: what left a digest is gone."""
    return _chosen(recipient, ids).filter(read_at__isnull=False).update(read_at=None)


def archive(recipient: str, ids: Iterable[int]) -> int:
    """Put messages away; return how many were not. They are neither listed nor counted any more."""
    return _chosen(recipient, ids).filter(archived_at__isnull=True).update(archived_at=TransactionNow())


def unarchive(recipient: str, ids: Iterable[int]) -> int:
    """Take messages back that were put away; return how many were."""
    return _chosen(recipient, ids).filter(archived_at__isnull=False).update(archived_at=None)


def _of(recipient: str) -> QuerySet[InboxMessage]:
    check_text(recipient, "recipient", 320, required=True)
    alias = write_connection(InboxMessage).alias  # a replica may not have what was just read
    return InboxMessage.objects.using(alias).filter(bucket=bucket_of(recipient), recipient=recipient)


def _chosen(recipient: str, ids: Iterable[int] | Literal["all"]) -> QuerySet[InboxMessage]:
    if isinstance(ids, str):
        if ids != "all":
            raise TypeError(f'ids is {shorten(ids)}: give the ids of messages, or "all"')
        return _of(recipient)
    return _of(recipient).filter(id__in=_checked(ids))


def _checked(ids: Iterable[int]) -> Sequence[int]:
    found = list(ids)
    for id_ in found:
        given: object = id_
        if not isinstance(given, int) or isinstance(given, bool):
            raise TypeError(f"a message's id is {shorten(given)} ({type(given).__name__}): it must be an int")
    return [id_ for id_ in found if 0 < id_ < 2**63]
