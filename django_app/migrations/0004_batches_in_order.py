"""Due batches are read in order of (deliver_at, id), chunk by chunk: without the id each chunk would sort all of them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0003_inbox")]

    operations = [
        migrations.RemoveIndex("batch", "pgsupervise_batch_due"),
        migrations.AddIndex(
            "batch",
            models.Index(
                "bucket",
                "deliver_at",
                "id",
                name="pgsupervise_batch_due",
                condition=models.Q(("state", "SEALED"), _negated=True),
            ),
        ),
    ]
