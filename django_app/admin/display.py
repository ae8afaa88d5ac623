"""Cells: links and texts. Everything from a row is escaped: recipients and payloads are anybody's text."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Field, ForeignKey, JSONField, Model, TextField
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.text import Truncator

Cell = Callable[[Any], str]
EMPTY = "-"
MAX_SHOWN = 200_000
"""Characters of one value on a page: a browser shows that many at once, and larger payloads are rare."""


def row_link(model: type[Model], pk: object, label: object = None) -> str:
    """Return a link to a row's page; only the label where a project's admin does not show that table."""
    text = pk if label is None else label
    try:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])
    except NoReverseMatch:
        return str(text)
    return format_html('<a href="{}">{}</a>', url, text)


def list_link(model: type[Model], label: str, **parameters: object) -> str:
    """Return a link to a filtered list; only the label where a project's admin does not show that table."""
    try:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    except NoReverseMatch:
        return label
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(parameters), label)


def cell(name: str, function: Cell) -> Cell:
    """Name a function for use as a column, or as a field that then has the model's label and help text."""
    function.__name__ = name
    function.short_description = name.replace("_", " ")  # type: ignore[attr-defined]  # where Django looks for it
    return function


def linked(field: str, model: type[Model], column: str | None = None, *, whole: bool = False) -> Cell:
    """Return a cell that links a field's value to that row of `model`; `column` is the attribute that holds it.

    A UUID is shown by its beginning unless it is `whole`: that tells one worker from another, and leaves a list room.
    """

    def show(row: Model) -> str:
        pk = getattr(row, column or field)
        if pk is None:
            return EMPTY
        return row_link(model, pk, str(pk)[:8] if isinstance(pk, UUID) and not whole else pk)

    return cell(field, show)


def listed(label: str, model: type[Model], parameter: str) -> Cell:
    """Return a cell that links to the rows of `model` that belong to this one."""
    return cell(label, lambda row: list_link(model, label, **{parameter: row.pk}))


def detail(field: "Field[Any, Any]", links: Mapping[str, type[Model]]) -> str | Cell:
    """Return how a row's page shows a field; `links` has the tables whose rows are named without a foreign key."""
    target = field.remote_field.model if isinstance(field, ForeignKey) else links.get(field.name)
    if target is not None:
        # By its column: the row that it names may have been pruned, and the link needs no query.
        return linked(field.name, target, field.attname, whole=True)
    if isinstance(field, JSONField):
        return cell(field.name, lambda row: preformatted(as_json(getattr(row, field.name))))
    if isinstance(field, TextField):
        return cell(field.name, lambda row: preformatted(getattr(row, field.name)))
    return field.name


def as_json(value: object) -> str:
    """Return a value for reading: indented, and in its own script."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def preformatted(text: str) -> str:
    """Return a text as it stands, lines and all, and never as HTML."""
    if not text:
        return EMPTY
    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}\n... and {len(text) - MAX_SHOWN} characters more"
    return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere; margin: 0">{}</pre>', text)


def shortened(field: str, limit: int = 80) -> Cell:
    """Return a cell with the beginning of a text."""
    return cell(field, lambda row: Truncator(getattr(row, field)).chars(limit) or EMPTY)
