"""When an event was retracted or filtered: `explain` says it.

The index of these begins with the recipient: beginning with the bucket it was an answer to any question about a bucket,
and the planner read all that was ever left out there to find that nothing of some batches was.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0007_read_before_sending")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="left_out_at",
            field=models.DateTimeField(blank=True, help_text="When it was retracted or filtered.", null=True),
        ),
        migrations.RemoveIndex(model_name="event", name="pgsupervise_event_left_out"),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                "recipient",
                "bucket",
                "id",
                name="pgsupervise_event_left_out",
                condition=models.Q(state__in=["RETRACTED", "FILTERED"]),
            ),
        ),
    ]
