"""Deleting an object takes back what was told about it, in the same transaction.

In an app's `notifications` module, beside its policies:

    retract_on_delete(Comment)
"""

from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.signals import post_delete

from .abouts import key_of
from .retracting import retract_named
from .texts import shorten


def retract_on_delete(*given: type[models.Model]) -> None:
    """Retract the events about an instance of these models when it is deleted, through a proxy or a cascade too.

    Declared for a model, not for its subclasses, which are models of their own. For these models alone Django reads the
    rows that a deletion is about to take, since it has to tell of each. What deletes rows behind its back (SQL, a
    cascade of the database's own, `_raw_delete`) retracts nothing: call `retract_about` there.

    Raises TypeError for anything but a model that has a table.
    """
    for model in given:
        checked: Any = model
        if not (isinstance(checked, type) and issubclass(checked, models.Model)) or checked._meta.abstract:
            raise TypeError(f"{shorten(checked)} is no model with a table: give the class of what events are about")
        concrete = model._meta.concrete_model or model
        # A deletion through a proxy is told as the proxy's.
        for sender in apps.get_models(include_auto_created=True):
            if sender._meta.concrete_model is concrete:
                post_delete.connect(_retract, sender=sender, dispatch_uid=f"pgsupervise {sender._meta.label}")


def _retract(instance: models.Model, **others: Any) -> None:
    about = key_of(instance)
    retract_named(about.type, about.id)
