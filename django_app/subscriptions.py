"""Who follows what, where the project has no table of its own for that.

subscribe(page, "ann@example.com")
notify_followers("edits", followers_of(page), run=f"edit-{edit.pk}")
"""

from typing import Any

from django.db import models

from pgsupervise.partitions.buckets import bucket_of

from .abouts import About, about_of
from .followers import Followers, Rows, follower_source
from .models import Subscription
from .texts import check_text

MAX_RECIPIENT = 320
MAX_TENANT = 100


@follower_source("pgsupervise.subscriptions")
def subscribed(argument: list[str]) -> Rows:
    """Return the subscriptions to an object, which is named by its type, its id and the tenant."""
    type_, id_, tenant = argument
    return Subscription.objects.filter(object_type=type_, object_id=id_, tenant=tenant)


def followers_of(instance: models.Model, *, tenant: str = "") -> Followers:
    """Return who has subscribed to an object within the tenant, for `notify_followers`."""
    check_text(tenant, "tenant", MAX_TENANT)
    return subscribed.of([*_name_of(instance), tenant])


def subscribe(instance: models.Model, recipient: str, *, tenant: str = "") -> bool:
    """Let a recipient follow an object; return False where it did already.

    `recipient` has at most 320 characters, `tenant` 100. Raises TypeError or ValueError for other values.
    """
    _, is_new = Subscription.objects.get_or_create(**_named(_name_of(instance), recipient, tenant))
    return is_new


def unsubscribe(instance: models.Model, recipient: str, *, tenant: str = "") -> bool:
    """End a subscription; return False where there was none. Runs under way do not tell the recipient any more."""
    named = _named(_name_of(instance), recipient, tenant)
    return bool(Subscription.objects.filter(**named).delete()[0])


def unsubscribe_all(instance: models.Model) -> int:
    """End all subscriptions to an object, whatever the tenant, as before it is deleted; return how many."""
    name = _name_of(instance)
    return Subscription.objects.filter(object_type=name.type, object_id=name.id).delete()[0]


def _name_of(instance: models.Model | None) -> About:
    if instance is None:
        raise TypeError("the object to follow is None: it must be a saved instance of a model")
    return about_of(instance, "the object to follow")


def _named(name: About, recipient: str, tenant: str) -> dict[str, Any]:
    check_text(recipient, "recipient", MAX_RECIPIENT, required=True)
    check_text(tenant, "tenant", MAX_TENANT)
    bucket = bucket_of(recipient)
    return {
        "bucket": bucket,
        "recipient": recipient,
        "object_type": name.type,
        "object_id": name.id,
        "tenant": tenant,
    }
