"""The local inbox: what the channel `inbox` has delivered."""

from django.db import models
from django.db.models import Q

from .fields import BucketField, KeyBucket, TransactionNow
from .notification import Delivery


class InboxMessage(models.Model):
    """One message that a recipient has received. Unique on its delivery, so sending it again adds none."""

    id = models.BigAutoField(primary_key=True)
    bucket = BucketField(key_field="recipient")
    delivery = models.ForeignKey(
        Delivery, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="inbox_messages"
    )
    recipient = models.CharField(max_length=320)
    policy = models.CharField(max_length=100)
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField(default="", db_default="", blank=True)
    item_ids = models.JSONField(default=list, db_default=models.Value([], models.JSONField()), blank=True)
    received_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    read_at = models.DateTimeField(null=True, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(name="pgsupervise_inbox_bucket", condition=models.Q(bucket=KeyBucket("recipient"))),
            models.UniqueConstraint(fields=["bucket", "delivery"], name="pgsupervise_inbox_one_per_delivery"),
        ]
        indexes = [
            models.Index("bucket", "recipient", "id", name="pgsupervise_inbox_recipient"),
            models.Index(
                "bucket", "recipient", "id", name="pgsupervise_inbox_kept", condition=Q(archived_at__isnull=True)
            ),
            models.Index(
                "bucket",
                "recipient",
                "id",
                name="pgsupervise_inbox_unread",
                condition=Q(archived_at__isnull=True, read_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} for {self.recipient} #{self.pk}"
