"""What notifications need for tenants, wishes, answers and every kind of window."""

import pgsupervise.django_app.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pgsupervise', '0005_finished_by_time'),
    ]

    operations = [
        migrations.CreateModel(
            name='Preference',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('tenant', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('policy', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('category', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('muted', models.BooleanField(blank=True, null=True)),
                ('channels', models.JSONField(blank=True, help_text='A list of names; an empty one is none at all.', null=True)),
                ('window', models.JSONField(blank=True, help_text='{"every": seconds} or {"cron": "0 9 * * *"}', null=True)),
                ('updated_at', pgsupervise.django_app.models.fields.ChangedAtField()),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='recipient')),
                ('recipient', models.CharField(max_length=320)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Recipient',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bucket', pgsupervise.django_app.models.fields.BucketField(key_field='recipient')),
                ('recipient', models.CharField(max_length=320)),
                ('time_zone', models.CharField(blank=True, db_default='', default='', help_text="Such as Europe/Rome; empty: the project's.", max_length=64)),
                ('locale', models.CharField(blank=True, db_default='', default='', help_text='Such as pt-br.', max_length=20)),
                ('quiet_from', models.TimeField(blank=True, help_text='Nothing is delivered from then, in its own time,', null=True)),
                ('quiet_until', models.TimeField(blank=True, help_text='until then.', null=True)),
                ('properties', models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, help_text='For windows, templates.')),
                ('updated_at', pgsupervise.django_app.models.fields.ChangedAtField()),
            ],
        ),
        migrations.CreateModel(
            name='TenantPreference',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('tenant', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('policy', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('category', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('muted', models.BooleanField(blank=True, null=True)),
                ('channels', models.JSONField(blank=True, help_text='A list of names; an empty one is none at all.', null=True)),
                ('window', models.JSONField(blank=True, help_text='{"every": seconds} or {"cron": "0 9 * * *"}', null=True)),
                ('updated_at', pgsupervise.django_app.models.fields.ChangedAtField()),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.RemoveConstraint(
            model_name='batch',
            name='pgsupervise_batch_one_open',
        ),
        migrations.RemoveConstraint(
            model_name='event',
            name='pgsupervise_event_state',
        ),
        migrations.AddField(
            model_name='batch',
            name='last_at',
            field=models.DateTimeField(help_text='When its last event occurred.', null=True),
        ),
        migrations.AddField(
            model_name='batch',
            name='reason',
            field=models.CharField(db_default='', default='', help_text='Why nothing of it was sent.', max_length=50),
        ),
        migrations.AddField(
            model_name='batch',
            name='tenant',
            field=models.CharField(db_default='', default='', max_length=100),
        ),
        migrations.AddField(
            model_name='event',
            name='about_id',
            field=models.CharField(blank=True, db_default='', default='', help_text='Its primary key.', max_length=200),
        ),
        migrations.AddField(
            model_name='event',
            name='about_type',
            field=models.CharField(blank=True, db_default='', default='', help_text='Label of the model of what it is about.', max_length=200),
        ),
        migrations.AddField(
            model_name='event',
            name='idempotency_key',
            field=models.CharField(blank=True, db_default='', default='', max_length=200),
        ),
        migrations.AddField(
            model_name='event',
            name='is_flush',
            field=models.BooleanField(db_default=False, default=False, help_text="No event: it closes its key's batch."),
        ),
        migrations.AddField(
            model_name='event',
            name='read_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='event',
            name='reason',
            field=models.CharField(blank=True, db_default='', default='', help_text='Why it was left out.', max_length=50),
        ),
        migrations.AddField(
            model_name='event',
            name='tenant',
            field=models.CharField(blank=True, db_default='', default='', max_length=100),
        ),
        migrations.AlterField(
            model_name='batch',
            name='item_count',
            field=models.PositiveIntegerField(help_text='Those that were taken back later are counted, too.'),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='state',
            field=models.CharField(choices=[('PENDING', 'PENDING'), ('SENDING', 'SENDING'), ('ACCEPTED', 'ACCEPTED'), ('REFUSED', 'REFUSED'), ('UNKNOWN', 'UNKNOWN'), ('SKIPPED', 'SKIPPED')], db_default='PENDING', default="PENDING", max_length=8),
        ),
        migrations.AlterField(
            model_name='event',
            name='state',
            field=models.CharField(choices=[('PENDING', 'PENDING'), ('FOLDED', 'FOLDED'), ('RETRACTED', 'RETRACTED'), ('FILTERED', 'FILTERED')], db_default='PENDING', default="PENDING", max_length=9),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(models.F('batch_id'), condition=models.Q(('batch__isnull', False), ('state__in', ["RETRACTED", "FILTERED"])), name='pgsupervise_event_gone'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(models.F('about_type'), models.F('about_id'), condition=models.Q(('about_type', ''), _negated=True), name='pgsupervise_event_about'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(models.F('bucket'), models.F('recipient'), models.F('id'), condition=models.Q(('state__in', ["RETRACTED", "FILTERED"])), name='pgsupervise_event_left_out'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.UniqueConstraint(condition=models.Q(('state', "OPEN")), fields=('bucket', 'policy', 'recipient', 'tenant', 'key'), name='pgsupervise_batch_one_open'),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('batch__isnull', True), ('state', "PENDING")), models.Q(('batch__isnull', False), ('state', "FOLDED")), ('state', "RETRACTED"), models.Q(('state', "FILTERED"), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='pgsupervise_event_state'),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.UniqueConstraint(condition=models.Q(('idempotency_key', ''), _negated=True), fields=('bucket', 'recipient', 'policy', 'idempotency_key'), name='pgsupervise_event_idempotency'),
        ),
        migrations.AddConstraint(
            model_name='preference',
            constraint=models.CheckConstraint(condition=models.Q(('policy', ''), ('category', ''), _connector='OR'), name='pgsupervise_preference_level'),
        ),
        migrations.AddConstraint(
            model_name='preference',
            constraint=models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('recipient'))), name='pgsupervise_preference_bucket'),
        ),
        migrations.AddConstraint(
            model_name='preference',
            constraint=models.UniqueConstraint(fields=('bucket', 'recipient', 'tenant', 'policy', 'category'), name='pgsupervise_preference_one'),
        ),
        migrations.AddConstraint(
            model_name='recipient',
            constraint=models.CheckConstraint(condition=models.Q(('bucket', pgsupervise.django_app.models.fields.KeyBucket('recipient'))), name='pgsupervise_recipient_bucket'),
        ),
        migrations.AddConstraint(
            model_name='recipient',
            constraint=models.UniqueConstraint(fields=('bucket', 'recipient'), name='pgsupervise_recipient_one'),
        ),
        migrations.AddConstraint(
            model_name='recipient',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('quiet_from__isnull', True), ('quiet_until__isnull', True)), models.Q(('quiet_from__isnull', False), ('quiet_until__isnull', False)), _connector='OR'), name='pgsupervise_recipient_quiet'),
        ),
        migrations.AddConstraint(
            model_name='tenantpreference',
            constraint=models.CheckConstraint(condition=models.Q(('policy', ''), ('category', ''), _connector='OR'), name='pgsupervise_tenantpreference_level'),
        ),
        migrations.AddConstraint(
            model_name='tenantpreference',
            constraint=models.CheckConstraint(condition=models.Q(('tenant', ''), _negated=True), name='pgsupervise_tenantpreference_tenant'),
        ),
        migrations.AddConstraint(
            model_name='tenantpreference',
            constraint=models.UniqueConstraint(fields=('tenant', 'policy', 'category'), name='pgsupervise_tenantpreference_one'),
        ),
    ]
