"""What recipients and tenants wish. The owner of a recipient's bucket reads it when it folds, seals and sends."""

from typing import Any

from django.db import models
from django.db.models import Q

from .fields import BucketField, ChangedAtField, KeyBucket


class Recipient(models.Model):
    """What is known about a recipient beside the wishes: where and in which language it lives, and when it is quiet."""

    id = models.BigAutoField(primary_key=True)
    bucket = BucketField(key_field="recipient")
    recipient = models.CharField(max_length=320)
    time_zone = models.CharField(
        max_length=64, default="", blank=True, db_default="", help_text="Such as Europe/Rome; empty: the project's."
    )
    locale = models.CharField(max_length=20, default="", blank=True, db_default="", help_text="Such as pt-br.")
    quiet_from = models.TimeField(null=True, blank=True, help_text="Nothing is delivered from then, in its own time,")
    quiet_until = models.TimeField(null=True, blank=True, help_text="until then.")
    properties = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="For windows, templates.",
    )
    updated_at = ChangedAtField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="pgsupervise_recipient_bucket", condition=Q(bucket=KeyBucket("recipient"))),
            models.UniqueConstraint(fields=["bucket", "recipient"], name="pgsupervise_recipient_one"),
            models.CheckConstraint(
                name="pgsupervise_recipient_quiet",
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.recipient


class Wishes(models.Model):
    """What is wished at one level; None says nothing, and leaves it to the next level."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.CharField(max_length=100, default="", blank=True, db_default="")
    policy = models.CharField(max_length=100, default="", blank=True, db_default="")
    category = models.CharField(max_length=100, default="", blank=True, db_default="")
    muted = models.BooleanField(null=True, blank=True)
    channels: Any = models.JSONField(null=True, blank=True, help_text="A list of names; an empty one is none at all.")
    window: Any = models.JSONField(null=True, blank=True, help_text='{"every": seconds} or {"cron": "0 9 * * *"}')
    updated_at = ChangedAtField()

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(name="pgsupervise_%(class)s_level", condition=Q(policy="") | Q(category="")),
        ]


class Preference(Wishes):
    """A recipient's own wishes: in general, for a tenant, and for a category or a policy of either."""

    bucket = BucketField(key_field="recipient")
    recipient = models.CharField(max_length=320)

    class Meta(Wishes.Meta):
        constraints = [
            *Wishes.Meta.constraints,
            models.CheckConstraint(name="pgsupervise_preference_bucket", condition=Q(bucket=KeyBucket("recipient"))),
            models.UniqueConstraint(
                fields=["bucket", "recipient", "tenant", "policy", "category"], name="pgsupervise_preference_one"
            ),
        ]

    def __str__(self) -> str:
        tenant = f" of tenant {self.tenant}" if self.tenant else ""
        return f"{self.recipient}: {self.policy or self.category or 'everything'}{tenant}"


class TenantPreference(Wishes):
    """What a tenant prescribes for those of its recipients who have said nothing."""

    class Meta(Wishes.Meta):
        constraints = [
            *Wishes.Meta.constraints,
            models.CheckConstraint(name="pgsupervise_tenantpreference_tenant", condition=~Q(tenant="")),
            models.UniqueConstraint(fields=["tenant", "policy", "category"], name="pgsupervise_tenantpreference_one"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant}: {self.policy or self.category or 'everything'}"
