"""Runs that tell followers, and who follows what. Their primary keys hold the bucket, by the rule of 0002."""

import datetime
import pgsupervise.django_app.models.fields
from django.db import migrations, models

KEYED = ("fanout", "subscription")


def with_bucket(table: str) -> str:
    return (
        f"ALTER TABLE pgsupervise_{table} DROP CONSTRAINT pgsupervise_{table}_pkey;"
        f"ALTER TABLE pgsupervise_{table} ADD PRIMARY KEY (id, bucket);"
    )


def without_bucket(table: str) -> str:
    return (
        f"ALTER TABLE pgsupervise_{table} DROP CONSTRAINT pgsupervise_{table}_pkey;"
        f"ALTER TABLE pgsupervise_{table} ADD PRIMARY KEY (id);"
    )


# A run's row is updated with each of its slices: leave room beside it.
STORAGE = "ALTER TABLE pgsupervise_fanout SET (fillfactor = 70);"
NO_STORAGE = "ALTER TABLE pgsupervise_fanout RESET (fillfactor);"


class Migration(migrations.Migration):

    dependencies = [
        ('pgsupervise', '0008_left_out_at'),
    ]

    operations = [
        migrations.CreateModel(
            name='FanOut',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='name')),
                ('name', models.CharField(help_text='Unique: a second call with it does nothing.', max_length=200)),
                ('policy', models.CharField(max_length=100)),
                ('tenant', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('key', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('actor', models.CharField(blank=True, db_default='', default='', max_length=320)),
                ('object', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('data', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict)),
                ('about_type', models.CharField(blank=True, db_default='', default='', max_length=200)),
                ('about_id', models.CharField(blank=True, db_default='', default='', max_length=200)),
                ('occurred_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), help_text='When all of its events occurred.')),
                ('source', models.CharField(blank=True, db_default='', default='', help_text='Who gives the followers.', max_length=100)),
                ('argument', models.JSONField(blank=True, help_text='What the source is asked for.', null=True)),
                ('state', models.CharField(choices=[('RUNNING', 'RUNNING'), ('DONE', 'DONE')], db_default='RUNNING', default="RUNNING", max_length=7)),
                ('place', models.TextField(blank=True, db_default='', default='', help_text='Primary key of the last follower told.')),
                ('slices', models.PositiveIntegerField(db_default=0, default=0, help_text='How many have been written.')),
                ('link', models.PositiveIntegerField(db_default=0, default=0, help_text='Which of its tasks goes on with it.')),
                ('told', models.PositiveBigIntegerField(db_default=0, default=0, help_text='Followers who got an event.')),
                ('left_out', models.PositiveBigIntegerField(db_default=0, default=0, help_text='Those without a usable recipient, and those who had it already.')),
                ('error', models.TextField(blank=True, db_default='', default='', help_text='Why the last slice could not be told.')),
                ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                ('finished_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(models.F('id'), condition=models.Q(('state', "RUNNING")), name='pgsupervise_fanout_running')],
                'constraints': [models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('name'))), name='pgsupervise_fanout_bucket'), models.UniqueConstraint(fields=('bucket', 'name'), name='pgsupervise_fanout_one_run'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', True), ('state', "RUNNING")), models.Q(('finished_at__isnull', False), ('state', "DONE")), _connector='OR'), name='pgsupervise_fanout_state'), models.CheckConstraint(condition=models.Q(('occurred_at__range', (datetime.datetime(1900, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(2200, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)))), name='pgsupervise_fanout_occurred_at')],
            },
        ),
        migrations.CreateModel(
            name='Subscription',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='recipient')),
                ('recipient', models.CharField(max_length=320)),
                ('object_type', models.CharField(help_text="Label of the object's model.", max_length=200)),
                ('object_id', models.CharField(help_text='Its primary key.', max_length=200)),
                ('tenant', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
            ],
            options={
                'indexes': [models.Index(models.F('object_type'), models.F('object_id'), models.F('tenant'), models.F('id'), name='pgsupervise_followers')],
                'constraints': [models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('recipient'))), name='pgsupervise_subscription_bucket'), models.UniqueConstraint(fields=('bucket', 'recipient', 'object_type', 'object_id', 'tenant'), name='pgsupervise_subscription_one')],
            },
        ),
        *[migrations.RunSQL(with_bucket(table), without_bucket(table)) for table in KEYED],
        migrations.RunSQL(STORAGE, NO_STORAGE),
    ]
