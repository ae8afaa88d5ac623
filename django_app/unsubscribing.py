"""Unsubscribing: what a link or a mail program's button does to the recipient's preferences.

`policy` mutes the digest's policy for its recipient and tenant, and the policies whose events go into its digests:
what was in the mail is what stops, all of it. `category` mutes that policy's category for the tenant besides, `all`
everything for every tenant; a narrower "send this" that the recipient said before is taken back, since it would count
more. What is required is sent all the same.
"""

from typing import NamedTuple

from django.db import router, transaction

from pgsupervise.partitions.buckets import bucket_of

from .models import Batch, Preference
from .policies import registry
from .preferences import store_wish
from .unsubscribe_links import Level, Target, target_of


class Subscription(NamedTuple):
    """Who gets which digests."""

    recipient: str
    policy: str
    tenant: str

    @property
    def category(self) -> str:
        """The policy's category; empty where it has none, or is not known any more."""
        policy = registry.get(self.policy)
        return policy.category if policy else ""

    @property
    def policies(self) -> list[str]:
        """The policies that its digests tell of, in an order of their own: two who write wait for each other in one."""
        return sorted({self.policy, *(name for name, one in registry.items() if one.digest == self.policy)})


def subscription_of(target: Target) -> Subscription | None:
    """Return what a token is about; None where the digest is not kept any more."""
    rows = Batch.objects.filter(bucket=target.bucket, id=target.batch_id)
    row = rows.values_list("recipient", "policy", "tenant").first()
    return Subscription(*row) if row else None


def unsubscribe(token: str) -> bool:
    """Do what a token says; return False where its digest is not kept any more. As often as one likes.

    For mail that comes to PGSUPERVISE["UNSUBSCRIBE_MAILTO"], too: the token follows "unsubscribe" in its subject.
    Raises BadSignature for a token that was never ours.
    """
    target = target_of(token)
    subscription = subscription_of(target)
    if subscription is None:
        return False
    with transaction.atomic(using=router.db_for_write(Preference)):
        _mute(subscription, target.level)
    return True


def _mute(subscription: Subscription, level: Level) -> None:
    recipient, _, tenant = subscription
    mine = Preference.objects.filter(bucket=bucket_of(recipient), recipient=recipient, muted=False)
    if level is Level.ALL:
        mine.update(muted=None)
        store_wish(recipient, muted=True)
        return
    named = subscription.policies
    if level is Level.CATEGORY and subscription.category:
        of_category = {name for name, one in registry.items() if one.category == subscription.category}
        mine.filter(tenant=tenant, policy__in=of_category).update(muted=None)
        store_wish(recipient, tenant=tenant, category=subscription.category, muted=True)
        named = [name for name in named if name not in of_category]
    for name in named:
        store_wish(recipient, tenant=tenant, policy=name, muted=True)
