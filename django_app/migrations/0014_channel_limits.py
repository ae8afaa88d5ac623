"""Channels that are paused for the whole cluster, and how often a message went out without its fate being known."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0013_suppressions")]

    operations = [
        migrations.CreateModel(
            name="Channel",
            fields=[
                ("name", models.CharField(max_length=50, primary_key=True, serialize=False)),
                (
                    "is_held",
                    models.BooleanField(
                        db_default=False, default=False, help_text="Paused by hand, until it is resumed."
                    ),
                ),
                ("paused_until", models.DateTimeField(help_text="Then one message goes on trial.", null=True)),
                ("reason", models.TextField(db_default="", default="")),
                ("since", models.DateTimeField(help_text="When it was paused, or resumed.")),
                (
                    "by",
                    models.CharField(
                        db_default="", default="", help_text="The worker, or who did it by hand.", max_length=320
                    ),
                ),
                ("trial_by", models.UUIDField(editable=False, null=True)),
                ("trial_until", models.DateTimeField(editable=False, null=True)),
            ],
        ),
        migrations.AddField(
            model_name="delivery",
            name="copies",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="So often it was sent without its being known whether it went out.",
            ),
        ),
    ]
