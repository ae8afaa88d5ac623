"""Searching what belongs to recipients."""

from django.db.models import Model

from .filters import Rows
from .terms import Term


def by_id(model: type[Model], term: Term) -> Rows:
    """Return the row with the term as its id."""
    rows = model._default_manager.all()
    return rows.none() if term.id is None else rows.filter(id=term.id)


def of_recipient(model: type[Model], term: Term) -> Rows:
    """Return the rows of the term as a recipient, newest first, in the order of the index that they have for it."""
    return model._default_manager.filter(bucket=term.bucket, recipient=term.text).order_by("-id")
