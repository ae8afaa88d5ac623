"""When an event was retracted or filtered: `explain` says it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0006_notifications_complete")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="left_out_at",
            field=models.DateTimeField(blank=True, help_text="When it was retracted or filtered.", null=True),
        ),
    ]
