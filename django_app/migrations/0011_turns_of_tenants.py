"""Tenants take turns where more is due than can be done at once: deliveries know theirs, and indexes hold tenants' rows alone.

The unique constraint of open batches begins with the recipient now, so that it answers which of a recipient's are open;
the index of all of a recipient's batches has the whole key, so that the last one of a key is found behind any history.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0010_waiting_deliveries")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="tenant",
            field=models.CharField(db_default="", default="", max_length=100),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                "bucket",
                "tenant",
                "id",
                name="pgsupervise_delivery_turn",
                condition=models.Q(("state", "PENDING"), models.Q(("tenant", ""), _negated=True)),
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                "bucket",
                "tenant",
                "deliver_at",
                "id",
                name="pgsupervise_batch_turn",
                condition=models.Q(
                    models.Q(("state", "SEALED"), _negated=True), models.Q(("tenant", ""), _negated=True)
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                "bucket", "recipient", name="pgsupervise_batch_closed", condition=models.Q(("state", "CLOSED"))
            ),
        ),
        migrations.RemoveConstraint(model_name="batch", name="pgsupervise_batch_one_open"),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "OPEN")),
                fields=("bucket", "recipient", "policy", "tenant", "key"),
                name="pgsupervise_batch_one_open",
            ),
        ),
        migrations.RemoveIndex(model_name="batch", name="pgsupervise_batch_recipient"),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                "bucket", "recipient", "policy", "tenant", "key", "id", name="pgsupervise_batch_recipient"
            ),
        ),
    ]
