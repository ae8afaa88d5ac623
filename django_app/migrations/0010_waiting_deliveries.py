"""Deliveries that wait, or are to be tried again, in states and an index of their own: nothing walks over them.

And a batch keeps whether, and how far, later events move its end; open ones follow the rule of now as before.
"""

from django.db import migrations, models

STATES = ["WAITING", "RETRYING", "PENDING", "SENDING", "ACCEPTED", "REFUSED", "UNKNOWN", "SKIPPED"]
# One that was never tried waits for its recipient, by the event clock; the others wait to be tried again.
ASLEEP = """
UPDATE pgsupervise_delivery SET state = 'WAITING'
WHERE state = 'PENDING' AND error = ''
    AND not_before > (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock);
UPDATE pgsupervise_delivery SET state = 'RETRYING' WHERE state = 'PENDING' AND error <> '' AND not_before > now();
"""
AWAKE = "UPDATE pgsupervise_delivery SET state = 'PENDING' WHERE state IN ('WAITING', 'RETRYING');"


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0009_fan_out")]

    operations = [
        migrations.AlterField(
            model_name="delivery",
            name="state",
            field=models.CharField(
                choices=[(state, state) for state in STATES], db_default="PENDING", default="PENDING", max_length=8
            ),
        ),
        migrations.RunSQL(ASLEEP, migrations.RunSQL.noop),
        migrations.RemoveIndex(model_name="delivery", name="pgsupervise_delivery_waiting"),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                "bucket",
                "recipient",
                "id",
                name="pgsupervise_delivery_ahead",
                condition=models.Q(state__in=["PENDING", "SENDING", "RETRYING"]),
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                "bucket",
                "recipient",
                "policy",
                "channel",
                "id",
                name="pgsupervise_delivery_in_turn",
                condition=models.Q(state="WAITING"),
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                "state",
                "bucket",
                "not_before",
                "id",
                name="pgsupervise_delivery_asleep",
                condition=models.Q(state__in=["WAITING", "RETRYING"]),
            ),
        ),
        migrations.RunSQL(migrations.RunSQL.noop, AWAKE),
        migrations.AddField(
            model_name="batch",
            name="slides_by",
            field=models.DurationField(
                null=True, help_text="So far behind itself each event moves that; zero: not at all."
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="slides_until",
            field=models.DateTimeField(null=True, help_text="But no further than this."),
        ),
    ]
