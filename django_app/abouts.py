"""What an event is about: a row of the project's own, named by its model and its primary key."""

from typing import Any, NamedTuple

from django.db import models

from .texts import check_text, shorten

MAX_ABOUT = 200


class About(NamedTuple):
    """A saved object: its model's label, such as "docs.comment", and its primary key as text."""

    type: str
    id: str


NOTHING = About("", "")


def about_of(instance: models.Model | None, what: str = "about", *, required: bool = False) -> About:
    """Return how an object is named in events; an instance of a proxy is one of the model behind it.

    None is NOTHING, unless an object is required.

    Raises TypeError for anything but a model's instance, and ValueError where it is not saved or its key is longer
    than 200 characters.
    """
    if instance is None and not required:
        return NOTHING
    given: Any = instance
    if not isinstance(given, models.Model):
        raise TypeError(f"{what} is {shorten(given)} ({type(given).__name__}): it must be a saved instance of a model")
    if given.pk is None or given._state.adding:
        raise ValueError(f"{what} is {shorten(given)}, which is not saved: save it first, in the same transaction")
    return key_of(given, what)


def key_of(instance: models.Model, what: str = "about") -> About:
    """Return how an object is named that is, or was, in the database."""
    label = label_of(type(instance))
    # Read as the database would give it back: an instance may have been made with the key of another type.
    field = instance._meta.pk
    pk = instance.pk if isinstance(instance.pk, tuple) or field is None else field.to_python(instance.pk)
    check_text(label, f"the label of {what}", MAX_ABOUT, required=True)
    check_text(str(pk), f"the primary key of {what}", MAX_ABOUT, required=True)
    return About(label, str(pk))


def label_of(model: type[models.Model]) -> str:
    """Return the label under which events name a model; a proxy has that of the model behind it."""
    concrete = model._meta.concrete_model or model
    return concrete._meta.label_lower
