"""Addresses that get nothing any more, and why."""

from django.db import models

from pgsupervise.partitions.states import SuppressionReason

from .fields import TransactionNow


class Suppression(models.Model):
    """One reason not to write to an address; as long as there is one, nothing is sent there.

    Without a bucket: workers ask for addresses, which are not what buckets are made of, and the table stays small.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=20, default="email", db_default="email", editable=False)
    address = models.CharField(max_length=320, help_text="In lower case, its domain in ASCII.")
    reason = models.CharField(
        max_length=20,
        choices=[(reason.value, reason.value) for reason in SuppressionReason],
        default=SuppressionReason.BY_HAND,
    )
    note = models.TextField(default="", db_default="", blank=True, help_text="The provider's words, or yours.")
    event_id = models.CharField(
        max_length=200, default="", db_default="", blank=True, help_text="The provider's event that says so."
    )
    occurred_at = models.DateTimeField(db_default=TransactionNow(), help_text="When that happened.")
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["address", "kind", "reason"], name="pgsupervise_suppression_one"),
            models.CheckConstraint(name="pgsupervise_suppression_address", condition=~models.Q(address="")),
        ]

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"
