"""The inbox as JSON, for the user who is logged in: its own messages and nobody else's.

A list takes `?shelf=kept|unread|archived`, `?before=` an id and `?limit=` up to 100, and says where the next page
begins. An action takes ids as JSON, `{"ids": [1, 2]}`, and `read` also `{"ids": "all"}`; it answers with how many it
has changed and how many are unread now. POST needs Django's CSRF token, as any form does.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_POST

from . import inbox
from .models import InboxMessage
from .preferences_links import recipient_of_user

LONGEST_BODY = 64 * 1024
MOST_IDS = 1000
LONGEST_NUMBER = 19
"""Digits, of 2**63 - 1: Python reads no number of some thousands."""
View = Callable[..., JsonResponse]
Action = Callable[[str, Any], int]


class _BadRequestError(ValueError):
    """What was asked makes no sense; the words are for whoever has asked."""


def _own(view: View) -> View:
    """Give the view the recipient that the user is; without one there is nothing to see."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **more: Any) -> JsonResponse:
        if not request.user.is_authenticated:
            return JsonResponse({"error": "log in"}, status=401)
        recipient = recipient_of_user(request.user)
        if not recipient:
            return JsonResponse({"error": "your account has no address"}, status=404)
        try:
            return view(request, recipient, *args, **more)
        except _BadRequestError as fault:
            return JsonResponse({"error": str(fault)}, status=400)

    return cast(View, never_cache(guarded))


@require_GET
@_own
def messages(request: HttpRequest, recipient: str) -> JsonResponse:
    """List messages, the newest first, with the number of unread ones."""
    try:
        shelf = inbox.Shelf(request.GET.get("shelf", inbox.Shelf.KEPT))
    except ValueError:
        raise _BadRequestError(f"shelf must be one of {', '.join(inbox.Shelf)}") from None
    limit = _number(request, "limit") or inbox.PAGE
    found = inbox.page(recipient, shelf, before=_number(request, "before"), limit=limit)
    is_full = len(found) == min(limit, inbox.LONGEST_PAGE)
    return JsonResponse(
        {
            "unread": inbox.unread_count(recipient),
            "messages": [as_dict(message) for message in found],
            "next_before": found[-1].pk if is_full else None,
        }
    )


@require_GET
@_own
def count(request: HttpRequest, recipient: str) -> JsonResponse:
    """Say how many messages are unread."""
    return JsonResponse({"unread": inbox.unread_count(recipient)})


def _acting(action: Action, *, takes_all: bool = False) -> View:
    @require_POST
    @csrf_protect
    @_own
    def view(request: HttpRequest, recipient: str) -> JsonResponse:
        changed = action(recipient, _ids(request, takes_all=takes_all))
        return JsonResponse({"changed": changed, "unread": inbox.unread_count(recipient)})

    return view


read = _acting(inbox.mark_messages_read, takes_all=True)
unread = _acting(inbox.mark_messages_unread)
archive = _acting(inbox.archive)
unarchive = _acting(inbox.unarchive)


def as_dict(message: InboxMessage) -> dict[str, Any]:
    """Return what JSON says of a message. The HTML is the template's: show it in a sandbox, or use the text."""
    return {
        "id": message.pk,
        "policy": message.policy,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "events": message.item_ids,
        "received_at": message.received_at,
        "read_at": message.read_at,
        "archived_at": message.archived_at,
    }


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER and 0 < int(text) < 2**63):
        raise _BadRequestError(f"{name} must be a number above 0")
    return int(text)


def _ids(request: HttpRequest, *, takes_all: bool) -> Any:
    body = request.read(LONGEST_BODY + 1)
    try:
        ids = json.loads(body)["ids"] if len(body) <= LONGEST_BODY else None
    except (ValueError, TypeError, LookupError, RecursionError):
        ids = None
    if ids == "all" and takes_all:
        return ids
    if isinstance(ids, list) and len(ids) <= MOST_IDS and all(type(id_) is int for id_ in ids):
        return ids
    wanted = '{"ids": [1, 2]}' + (' or {"ids": "all"}' if takes_all else "")
    raise _BadRequestError(f"the body must be {wanted}, with at most {MOST_IDS} ids")
