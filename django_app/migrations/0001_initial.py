import datetime

import django.db.models.deletion
import django.db.models.lookups
import pgsupervise.django_app.models.fields
from django.db import migrations, models


FINISHED_TASK = """
CREATE TABLE pgsupervise_finishedtask (
    id bigint NOT NULL,
    bucket smallint NOT NULL CHECK (bucket BETWEEN 0 AND 255),
    name varchar(200) NOT NULL,
    key varchar(320) NOT NULL DEFAULT '',
    args jsonb NOT NULL DEFAULT '[]',
    kwargs jsonb NOT NULL DEFAULT '{}',
    priority smallint NOT NULL DEFAULT 0,
    state varchar(11) NOT NULL,
    max_attempts smallint NOT NULL DEFAULT 5,
    attempt integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz NOT NULL,
    worker uuid,
    error text NOT NULL DEFAULT '',
    traceback text NOT NULL DEFAULT '',
    PRIMARY KEY (id, bucket, finished_at),
    CONSTRAINT pgsupervise_finishedtask_state CHECK (state IN ('DONE', 'DEAD', 'CANCELLED'))
) PARTITION BY RANGE (finished_at);
CREATE INDEX pgsupervise_finished_dead ON pgsupervise_finishedtask (id) WHERE state = 'DEAD';
CREATE INDEX pgsupervise_finished_name ON pgsupervise_finishedtask (name, id);
-- Each day's partition is made ahead of time; a row that finds none lands here instead of failing its task.
CREATE TABLE pgsupervise_finishedtask_default PARTITION OF pgsupervise_finishedtask DEFAULT;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='recipient')),
                ('policy', models.CharField(max_length=100)),
                ('recipient', models.CharField(max_length=320)),
                ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                ('key', models.CharField(db_default='', default='', max_length=500)),
                ('state', models.CharField(choices=[('OPEN', 'OPEN'), ('CLOSED', 'CLOSED'), ('SEALED', 'SEALED')], max_length=6)),
                ('opened_at', models.DateTimeField(help_text='When its first event occurred.')),
                ('closes_at', models.DateTimeField(help_text='It takes events that occurred before this.')),
                ('deliver_at', models.DateTimeField(help_text='It is sealed when the event clock reaches this.')),
                ('item_count', models.PositiveIntegerField()),
                ('sealed_at', models.DateTimeField(null=True)),
                ('error', models.TextField(db_default='', default='', help_text='Why it could not be rendered.')),
            ],
            options={
                'verbose_name_plural': 'batches',
                'abstract': False,
                'indexes': [models.Index(models.F('bucket'), models.F('deliver_at'), condition=models.Q(('state', 'SEALED'), _negated=True), name='pgsupervise_batch_due'), models.Index(models.F('bucket'), models.F('recipient'), models.F('id'), name='pgsupervise_batch_recipient'), models.Index(models.F('id'), condition=models.Q(('error', ''), _negated=True), name='pgsupervise_batch_failed')],
                'constraints': [models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('recipient'))), name='pgsupervise_batch_bucket'), models.UniqueConstraint(condition=models.Q(('state', 'OPEN')), fields=('bucket', 'policy', 'recipient', 'key'), name='pgsupervise_batch_one_open'), models.CheckConstraint(condition=models.Q(models.Q(('sealed_at__isnull', True), ('state__in', ['OPEN', 'CLOSED'])), models.Q(('sealed_at__isnull', False), ('state', 'SEALED')), _connector='OR'), name='pgsupervise_batch_state')],
            },
        ),
        migrations.CreateModel(
            name='Clock',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('simulated_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name_plural': 'clock',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='pgsupervise_clock_one_row')],
            },
        ),
        # Django cannot declare a partitioned table, so its SQL stands beside the state.
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FINISHED_TASK, 'DROP TABLE pgsupervise_finishedtask')],
            state_operations=[
                migrations.CreateModel(
                    name='FinishedTask',
                    fields=[
                        ('id', models.BigAutoField(primary_key=True, serialize=False)),
                        ('name', models.CharField(help_text='Dotted name of the function.', max_length=200)),
                        ('key', models.CharField(blank=True, db_default='', default='', help_text='Decides the bucket.', max_length=320)),
                        ('args', models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list)),
                        ('kwargs', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict)),
                        ('priority', models.SmallIntegerField(db_default=0, default=0, help_text='Lower runs first.')),
                        ('max_attempts', models.PositiveSmallIntegerField(db_default=5, default=5)),
                        ('attempt', models.PositiveIntegerField(db_default=0, default=0, help_text='Runs begun; a crash is not one of them.')),
                        ('crashes', models.PositiveIntegerField(db_default=0, default=0, help_text='Workers that died while running it.')),
                        ('run_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), help_text='Not before this time.')),
                        ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                        ('error', models.TextField(blank=True, db_default='', default='', help_text='The last failure in one line.')),
                        ('traceback', models.TextField(blank=True, db_default='', default='')),
                        ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='key')),
                        ('state', models.CharField(choices=[('DONE', 'DONE'), ('DEAD', 'DEAD'), ('CANCELLED', 'CANCELLED')], max_length=11)),
                        ('started_at', models.DateTimeField(null=True)),
                        ('finished_at', models.DateTimeField()),
                        ('worker', models.UUIDField(null=True)),
                    ],
                    options={
                        'indexes': [models.Index(models.F('id'), condition=models.Q(('state', 'DEAD')), name='pgsupervise_finished_dead'), models.Index(models.F('name'), models.F('id'), name='pgsupervise_finished_name')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ('DONE', 'DEAD', 'CANCELLED'))), name='pgsupervise_finishedtask_state')],
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name='Task',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(help_text='Dotted name of the function.', max_length=200)),
                ('key', models.CharField(blank=True, db_default='', default='', help_text='Decides the bucket.', max_length=320)),
                ('args', models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list)),
                ('kwargs', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict)),
                ('priority', models.SmallIntegerField(db_default=0, default=0, help_text='Lower runs first.')),
                ('max_attempts', models.PositiveSmallIntegerField(db_default=5, default=5)),
                ('attempt', models.PositiveIntegerField(db_default=0, default=0, help_text='Runs begun; a crash is not one of them.')),
                ('crashes', models.PositiveIntegerField(db_default=0, default=0, help_text='Workers that died while running it.')),
                ('run_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), help_text='Not before this time.')),
                ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                ('error', models.TextField(blank=True, db_default='', default='', help_text='The last failure in one line.')),
                ('traceback', models.TextField(blank=True, db_default='', default='')),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='key')),
                ('state', models.CharField(choices=[('SCHEDULED', 'SCHEDULED'), ('READY', 'READY'), ('IN PROGRESS', 'IN PROGRESS')], db_default='READY', default='READY', max_length=11)),
                ('claim_token', models.BigIntegerField(db_default=0, default=0, editable=False)),
                ('claimed_by', models.UUIDField(editable=False, null=True)),
                ('claimed_at', models.DateTimeField(editable=False, null=True)),
                ('cancel_requested_at', models.DateTimeField(editable=False, help_text='When `cancel()` asked to end it.', null=True)),
            ],
            options={
                'indexes': [models.Index(models.F('bucket'), models.F('priority'), models.F('id'), condition=models.Q(('state', 'READY')), name='pgsupervise_task_ready'), models.Index(models.F('bucket'), models.F('run_at'), condition=models.Q(('state', 'SCHEDULED')), name='pgsupervise_task_scheduled'), models.Index(models.F('claimed_by'), condition=models.Q(('state', 'IN PROGRESS')), name='pgsupervise_task_claimed'), models.Index(models.F('id'), condition=models.Q(('cancel_requested_at__isnull', False)), name='pgsupervise_task_cancel')],
                'constraints': [models.CheckConstraint(condition=models.Q(('key', ''), ('bucket', pgsupervise.django_app.models.fields.KeyBucket('key')), _connector='OR'), name='pgsupervise_task_bucket_is_of_key'), models.CheckConstraint(condition=models.Q(('bucket__range', (0, 255))), name='pgsupervise_task_bucket_range'), models.CheckConstraint(condition=models.Q(('state__in', ('SCHEDULED', 'READY', 'IN PROGRESS'))), name='pgsupervise_task_state'), models.CheckConstraint(condition=models.Q(models.Q(('claimed_at__isnull', False), ('claimed_by__isnull', False), ('state', 'IN PROGRESS')), models.Q(models.Q(('state', 'IN PROGRESS'), _negated=True), ('claimed_at__isnull', True), ('claimed_by__isnull', True)), _connector='OR'), name='pgsupervise_task_claim'), models.CheckConstraint(condition=models.Q(('max_attempts__gte', 1)), name='pgsupervise_task_max_attempts'), models.CheckConstraint(condition=models.Q(django.db.models.lookups.Exact(models.Func(models.F('args'), function='jsonb_typeof', output_field=models.TextField()), models.Value('array'))), name='pgsupervise_task_args'), models.CheckConstraint(condition=models.Q(django.db.models.lookups.Exact(models.Func(models.F('kwargs'), function='jsonb_typeof', output_field=models.TextField()), models.Value('object'))), name='pgsupervise_task_kwargs')],
            },
        ),
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.UUIDField(help_text='Random for each boot: never a host name or a pid.', primary_key=True, serialize=False)),
                ('supervisor', models.UUIDField(help_text="The supervisor's boot.")),
                ('kind', models.CharField(max_length=10)),
                ('slot', models.PositiveSmallIntegerField()),
                ('host', models.CharField(max_length=255)),
                ('pid', models.PositiveIntegerField()),
                ('partitions', models.PositiveSmallIntegerField()),
                ('processes', models.PositiveSmallIntegerField()),
                ('dead_after', models.FloatField(db_default=10, default=10, help_text='Seconds of silence until others call it dead.')),
                ('state', models.CharField(choices=[('ACTIVE', 'ACTIVE'), ('DRAINING', 'DRAINING'), ('STOPPED', 'STOPPED'), ('DEAD', 'DEAD')], max_length=8)),
                ('started_at', models.DateTimeField()),
                ('beat_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('end_reason', models.TextField(db_default='', default='')),
                ('running_task', models.BigIntegerField(help_text='The task it was running at its last beat.', null=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['ACTIVE', 'DRAINING', 'STOPPED', 'DEAD'])), name='pgsupervise_worker_state')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='recipient')),
                ('policy', models.CharField(max_length=100)),
                ('recipient', models.CharField(max_length=320)),
                ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                ('channel', models.CharField(max_length=50)),
                ('payload', models.JSONField()),
                ('state', models.CharField(choices=[('PENDING', 'PENDING'), ('SENDING', 'SENDING'), ('ACCEPTED', 'ACCEPTED'), ('REFUSED', 'REFUSED'), ('UNKNOWN', 'UNKNOWN')], db_default='PENDING', default='PENDING', max_length=8)),
                ('attempt', models.PositiveIntegerField(db_default=0, default=0)),
                ('not_before', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow())),
                ('claim_token', models.BigIntegerField(db_default=0, default=0, editable=False)),
                ('claimed_by', models.UUIDField(editable=False, null=True)),
                ('claimed_at', models.DateTimeField(editable=False, null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('provider_id', models.CharField(db_default='', default='', max_length=200)),
                ('error', models.TextField(db_default='', default='')),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='deliveries', to='pgsupervise.batch')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'abstract': False,
                'indexes': [models.Index(models.F('bucket'), models.F('recipient'), models.F('id'), condition=models.Q(('state__in', ['PENDING', 'SENDING'])), name='pgsupervise_delivery_waiting'), models.Index(models.F('bucket'), models.F('id'), condition=models.Q(('state', 'PENDING')), name='pgsupervise_delivery_due'), models.Index(models.F('claimed_by'), condition=models.Q(('state', 'SENDING')), name='pgsupervise_delivery_claimed'), models.Index(models.F('bucket'), models.F('recipient'), models.F('id'), name='pgsupervise_delivery_recip'), models.Index(models.F('state'), models.F('bucket'), models.F('id'), condition=models.Q(('state__in', ['REFUSED', 'UNKNOWN'])), name='pgsupervise_delivery_failed')],
                'constraints': [models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('recipient'))), name='pgsupervise_delivery_bucket'), models.UniqueConstraint(fields=('bucket', 'batch', 'channel'), name='pgsupervise_delivery_one_per_channel'), models.CheckConstraint(condition=models.Q(models.Q(('claimed_by__isnull', False), ('state', 'SENDING')), models.Q(models.Q(('state', 'SENDING'), _negated=True), ('claimed_by__isnull', True)), _connector='OR'), name='pgsupervise_delivery_claim')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='recipient')),
                ('policy', models.CharField(max_length=100)),
                ('recipient', models.CharField(max_length=320)),
                ('created_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow(), editable=False)),
                ('key', models.CharField(blank=True, db_default='', default='', help_text='Batched apart by this.', max_length=500)),
                ('actor', models.CharField(blank=True, db_default='', default='', max_length=320)),
                ('object', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('data', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict)),
                ('occurred_at', models.DateTimeField(db_default=pgsupervise.django_app.models.fields.TransactionNow())),
                ('state', models.CharField(choices=[('PENDING', 'PENDING'), ('FOLDED', 'FOLDED')], db_default='PENDING', default='PENDING', max_length=7)),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='pgsupervise.batch')),
            ],
            options={
                'abstract': False,
                'indexes': [models.Index(models.F('bucket'), models.F('occurred_at'), models.F('id'), condition=models.Q(('state', 'PENDING')), name='pgsupervise_event_pending'), models.Index(models.F('batch_id'), condition=models.Q(('batch__isnull', False)), name='pgsupervise_event_batch')],
                'constraints': [models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('recipient'))), name='pgsupervise_event_bucket'), models.CheckConstraint(condition=models.Q(models.Q(('batch__isnull', True), ('state', 'PENDING')), models.Q(('batch__isnull', False), ('state', 'FOLDED')), _connector='OR'), name='pgsupervise_event_state'), models.CheckConstraint(condition=models.Q(('occurred_at__range', (datetime.datetime(1900, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(2200, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)))), name='pgsupervise_event_occurred_at')],
            },
        ),
        migrations.CreateModel(
            name='Lease',
            fields=[
                ('bucket', models.SmallIntegerField(primary_key=True, serialize=False)),
                ('epoch', models.BigIntegerField(db_default=0, default=0)),
                ('changed_at', models.DateTimeField(help_text='When it was acquired or released last.')),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='leases', to='pgsupervise.worker')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('bucket__range', (-1, 255))), name='pgsupervise_lease_bucket')],
            },
        ),
    ]
