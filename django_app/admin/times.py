"""Cells with times: how long something took, and how long ago something was."""

from datetime import datetime, timedelta

from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html

from .display import EMPTY, Cell, cell


def moment(field: str, label: str | None = None) -> Cell:
    """Return a cell that says how far off a time is, and has the time itself as its tooltip.

    By this process's clock, which is good enough to be looked at.
    """

    def show(row: Model) -> str:
        at: datetime | None = getattr(row, field)
        if at is None:
            return EMPTY
        ahead = at - timezone.now()
        words = f"in {duration(ahead)}" if ahead > timedelta(0) else f"{duration(-ahead)} ago"
        # Without USE_TZ there are only naive times, which are local already.
        local = timezone.localtime(at) if timezone.is_aware(at) else at
        exact = local.isoformat(" ", "milliseconds")
        return format_html('<span title="{}">{}</span>', exact, words.replace(" ", "\u00a0"))

    return cell(label or field.removesuffix("_at"), show)


def lasted(label: str, start: str, end: str) -> Cell:
    """Return a cell with the time between two fields."""

    def show(row: Model) -> str:
        began, ended = getattr(row, start), getattr(row, end)
        return EMPTY if began is None or ended is None else duration(ended - began).replace(" ", "\u00a0")

    return cell(label, show)


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units; clocks may differ, so one below zero is shown as zero."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 1:
        return f"{int(seconds * 1000)} ms"
    if seconds < 60:
        return f"{int(seconds * 10) / 10} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{days} d {hours % 24} h"
