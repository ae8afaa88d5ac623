"""Finished tasks of a name in the order of their time: entries come at the end of the index, not all over it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0004_batches_in_order")]

    operations = [
        migrations.RemoveIndex("finishedtask", "pgsupervise_finished_name"),
        migrations.AddIndex("finishedtask", models.Index("name", "finished_at", name="pgsupervise_finished_name")),
    ]
