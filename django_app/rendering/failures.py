"""A template's failure is its own batch's and nobody else's, whatever it raises."""

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import connections
from django.template.base import Node


class RenderError(ValueError):
    """A batch cannot be rendered; the message says why, and the cure."""


@contextmanager
def raising_exceptions_only() -> Iterator[None]:
    """Let the block raise nothing but exceptions that can be caught and told.

    A template, or what it calls, may raise SystemExit, which would end the caller's thread and with it everybody's
    digests, or an exception that cannot even be printed. Ctrl-C is the user's and passes.
    """
    try:
        yield
    except Exception as error:
        try:
            str(error)
        except Exception as unprintable:
            words = f"{type(error).__name__}, which cannot be printed for {type(unprintable).__name__}"
            raise RenderError(words) from None
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        raise RenderError(f"{error!r:.200} was raised: what a template calls may raise exceptions only") from None


def note_place(error: Exception) -> None:
    """Note at an exception in which template, and at which of its lines, it was raised."""
    place = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("self")
        if isinstance(node, Node) and node.token is not None and getattr(node, "origin", None) is not None:
            place = f"template {node.origin.template_name!s}, line {node.token.lineno}"
    if place:
        with suppress(Exception):  # whatever an exception does that is asked to keep a note
            error.add_note(place)


def reconnected() -> bool:
    """Return whether a database connection was lost, which is no template's fault: the next query opens another one.

    A connection inside an atomic block, which is the caller's, is left alone: Django would close it.
    """
    lost = False
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block or connection.connection is None:
            continue
        connection.close_if_unusable_or_obsolete()
        lost = lost or connection.connection is None
    return lost
