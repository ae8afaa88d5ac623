"""Objects of the project by name: what an event is about, and what a recipient follows."""

from typing import NamedTuple

from django.db import models

from .texts import check_text, shorten

MAX_LABEL = MAX_ID = 200


class ObjectName(NamedTuple):
    """The label of an object's model and its primary key as text."""

    type: str
    id: str


def name_of(instance: object, what: str) -> ObjectName:
    """Return the name of a model's saved instance; `what` names the value in the error.

    A proxy has the name of its concrete model. Raises TypeError for anything else, ValueError for one without a primary
    key or with one that has no short text.
    """
    if not isinstance(instance, models.Model):
        raise TypeError(f"{what} is {shorten(instance)} ({type(instance).__name__}): it must be an instance of a model")
    label = (instance._meta.concrete_model or type(instance))._meta.label
    if instance.pk is None:
        raise ValueError(f"{what} is a {label} without a primary key: save it first")
    number = str(instance.pk)
    check_text(number, f"the primary key of {what}", MAX_ID, required=True)
    return ObjectName(label, number)
