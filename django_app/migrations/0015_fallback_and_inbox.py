"""Deliveries in reserve for when a channel refuses; what a recipient has read and put away of the inbox."""

import pgsupervise.partitions.states
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pgsupervise', '0014_channel_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='inboxmessage',
            name='archived_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='inboxmessage',
            name='read_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='state',
            field=models.CharField(choices=[('STANDBY', 'STANDBY'), ('WAITING', 'WAITING'), ('RETRYING', 'RETRYING'), ('PENDING', 'PENDING'), ('SENDING', 'SENDING'), ('ACCEPTED', 'ACCEPTED'), ('REFUSED', 'REFUSED'), ('UNKNOWN', 'UNKNOWN'), ('SKIPPED', 'SKIPPED')], db_default='PENDING', default=pgsupervise.partitions.states.DeliveryState['PENDING'], max_length=8),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('id'), condition=models.Q(('state', pgsupervise.partitions.states.DeliveryState['STANDBY'])), name='pgsupervise_delivery_standby'),
        ),
        migrations.AddIndex(
            model_name='inboxmessage',
            index=models.Index(models.F('bucket'), models.F('recipient'), models.F('id'), condition=models.Q(('archived_at__isnull', True)), name='pgsupervise_inbox_kept'),
        ),
        migrations.AddIndex(
            model_name='inboxmessage',
            index=models.Index(models.F('bucket'), models.F('recipient'), models.F('id'), condition=models.Q(('archived_at__isnull', True), ('read_at__isnull', True)), name='pgsupervise_inbox_unread'),
        ),
    ]
