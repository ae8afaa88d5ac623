"""The local inbox. Its primary key holds the bucket, by the rule of 0002."""

import django.db.models.deletion
import pgsupervise.django_app.models.fields
from django.db import migrations, models

DROP_KEY = "ALTER TABLE pgsupervise_inboxmessage DROP CONSTRAINT pgsupervise_inboxmessage_pkey;"
WITH_BUCKET = f"{DROP_KEY} ALTER TABLE pgsupervise_inboxmessage ADD PRIMARY KEY (id, bucket);"
WITHOUT_BUCKET = f"{DROP_KEY} ALTER TABLE pgsupervise_inboxmessage ADD PRIMARY KEY (id);"


class Migration(migrations.Migration):

    dependencies = [
        ('pgsupervise', '0002_storage'),
    ]

    operations = [
        migrations.CreateModel(
            name='InboxMessage',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='recipient')),
                ('recipient', models.CharField(max_length=320)),
                ('policy', models.CharField(max_length=100)),
                ('subject', models.TextField()),
                ('text', models.TextField()),
                ('html', models.TextField(blank=True, db_default='', default='')),
                ('item_ids', models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list)),
                ('received_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                ('delivery', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='inbox_messages', to='pgsupervise.delivery')),
            ],
            options={
                'indexes': [models.Index(models.F('bucket'), models.F('recipient'), models.F('id'), name='pgsupervise_inbox_recipient')],
                'constraints': [models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('recipient'))), name='pgsupervise_inbox_bucket'), models.UniqueConstraint(fields=('bucket', 'delivery'), name='pgsupervise_inbox_one_per_delivery')],
            },
        ),
        migrations.RunSQL(WITH_BUCKET, WITHOUT_BUCKET),
    ]
