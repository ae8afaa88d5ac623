"""What a provider said later about messages that it took."""

from django.db import models
from django.db.models import Q

from pgsupervise.partitions.provider_events import ProviderKind

from .fields import TransactionNow
from .notification import Delivery


class ProviderEvent(models.Model):
    """One event of a provider's webhook about one attempt. Written as it comes; the delivery's owner draws conclusions.

    It lies in its delivery's bucket, which the message carried to the provider and its event back.
    """

    id = models.BigAutoField(primary_key=True)
    bucket = models.SmallIntegerField(editable=False)
    event_id = models.CharField(max_length=100, help_text="The provider's; the same one is written once.")
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in ProviderKind])
    delivery = models.ForeignKey(
        Delivery, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="provider_events"
    )
    attempt = models.PositiveIntegerField()
    address = models.CharField(max_length=320)
    reason = models.TextField(default="", db_default="", blank=True)
    provider_id = models.CharField(max_length=200, default="", db_default="", blank=True)
    occurred_at = models.DateTimeField(help_text="By the provider's clock.")
    received_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    applied_at = models.DateTimeField(null=True, help_text="When its delivery's owner took note of it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bucket", "event_id"], name="pgsupervise_provider_one"),
            models.CheckConstraint(name="pgsupervise_provider_bucket", condition=Q(bucket__range=(0, 255))),
        ]
        indexes = [
            models.Index("bucket", "id", name="pgsupervise_provider_new", condition=Q(applied_at__isnull=True)),
            models.Index("bucket", "delivery_id", name="pgsupervise_provider_delivery"),
            models.Index("received_at", name="pgsupervise_provider_received"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of delivery {self.delivery_id} #{self.pk}"
