"""What providers say later about messages, and what is known of a delivery by that.

The primary key holds the bucket, by the rule of 0002.
"""

import django.db.models.deletion
import pgsupervise.django_app.models.fields
from django.db import migrations, models

DROP_KEY = "ALTER TABLE pgsupervise_providerevent DROP CONSTRAINT pgsupervise_providerevent_pkey;"
WITH_BUCKET = f"{DROP_KEY} ALTER TABLE pgsupervise_providerevent ADD PRIMARY KEY (id, bucket);"
WITHOUT_BUCKET = f"{DROP_KEY} ALTER TABLE pgsupervise_providerevent ADD PRIMARY KEY (id);"
# Each row is updated once, soon after it is inserted.
STORAGE = "ALTER TABLE pgsupervise_providerevent SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02);"
NO_STORAGE = "ALTER TABLE pgsupervise_providerevent RESET (fillfactor, autovacuum_vacuum_scale_factor);"


class Migration(migrations.Migration):

    dependencies = [
        ('pgsupervise', '0011_turns_of_tenants'),
    ]

    operations = [
        migrations.CreateModel(
            name='ProviderEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', models.SmallIntegerField(editable=False)),
                ('event_id', models.CharField(help_text="The provider's; the same one is written once.", max_length=100)),
                ('kind', models.CharField(choices=[('processed', 'processed'), ('deferred', 'deferred'), ('blocked', 'blocked'), ('delivered', 'delivered'), ('dropped', 'dropped'), ('bounce', 'bounce'), ('group_unsubscribe', 'group_unsubscribe'), ('unsubscribe', 'unsubscribe'), ('spamreport', 'spamreport')], max_length=20)),
                ('delivery', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='provider_events', to='pgsupervise.delivery')),
                ('attempt', models.PositiveIntegerField()),
                ('address', models.CharField(max_length=320)),
                ('reason', models.TextField(blank=True, db_default='', default='')),
                ('provider_id', models.CharField(blank=True, db_default='', default='', max_length=200)),
                ('occurred_at', models.DateTimeField(help_text="By the provider's clock.")),
                ('received_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                ('applied_at', models.DateTimeField(help_text="When its delivery's owner took note of it.", null=True)),
            ],
            options={
                'indexes': [
                    models.Index(models.F('bucket'), models.F('id'), condition=models.Q(('applied_at__isnull', True)), name='pgsupervise_provider_new'),
                    models.Index(models.F('bucket'), models.F('delivery_id'), name='pgsupervise_provider_delivery'),
                    models.Index(models.F('received_at'), name='pgsupervise_provider_received'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('bucket', 'event_id'), name='pgsupervise_provider_one'),
                    models.CheckConstraint(condition=models.Q(('bucket__range', (0, 255))), name='pgsupervise_provider_bucket'),
                ],
            },
        ),
        migrations.RunSQL(WITH_BUCKET, WITHOUT_BUCKET),
        migrations.RunSQL(STORAGE, NO_STORAGE),
        migrations.AlterModelOptions(
            name='delivery',
            options={'permissions': [('resolve_delivery', 'Can decide about deliveries of unknown fate')], 'verbose_name_plural': 'deliveries'},
        ),
        migrations.AddField(
            model_name='delivery',
            name='delivered_at',
            field=models.DateTimeField(help_text="When the recipient's own server took it.", null=True),
        ),
        migrations.AddField(
            model_name='delivery',
            name='duplicates',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text='How many more than one of its attempts the provider has taken.'),
        ),
        migrations.AddField(
            model_name='delivery',
            name='proven_attempts',
            field=pgsupervise.django_app.models.fields.NumbersField(help_text="Those that the provider's events prove it has taken.", null=True),
        ),
        migrations.AddField(
            model_name='delivery',
            name='provider_status',
            field=models.CharField(db_default='', default='', help_text="What the provider's events say of it.", max_length=20),
        ),
        migrations.AddField(
            model_name='delivery',
            name='unknown_until',
            field=models.DateTimeField(help_text="Of unknown fate: the provider's events may prove it until then. Empty: a person decides.", null=True),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='provider_id',
            field=models.CharField(db_default='', default='', help_text="By which the provider's own answer named the message.", max_length=200),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('bucket'), models.F('unknown_until'), condition=models.Q(('state', 'UNKNOWN'), ('unknown_until__isnull', False)), name='pgsupervise_delivery_grace'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('id'), condition=models.Q(('duplicates__gt', 0)), name='pgsupervise_delivery_doubled'),
        ),
    ]
