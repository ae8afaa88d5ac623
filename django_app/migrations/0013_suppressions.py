"""The suppression list: addresses to which nothing is sent any more."""

import pgsupervise.django_app.models.fields
import pgsupervise.partitions.states
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pgsupervise', '0012_provider_events'),
    ]

    operations = [
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(db_default='email', default='email', editable=False, max_length=20)),
                ('address', models.CharField(help_text='In lower case, its domain in ASCII.', max_length=320)),
                ('reason', models.CharField(choices=[('bounce', 'bounce'), ('drop', 'drop'), ('spam', 'spam'), ('unsubscribe', 'unsubscribe'), ('by hand', 'by hand')], default=pgsupervise.partitions.states.SuppressionReason['BY_HAND'], max_length=20)),
                ('note', models.TextField(blank=True, db_default='', default='', help_text="The provider's words, or yours.")),
                ('event_id', models.CharField(blank=True, db_default='', default='', help_text="The provider's event that says so.", max_length=200)),
                ('occurred_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), help_text='When that happened.')),
                ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('address', 'kind', 'reason'), name='pgsupervise_suppression_one'), models.CheckConstraint(condition=models.Q(('address', ''), _negated=True), name='pgsupervise_suppression_address')],
            },
        ),
    ]
