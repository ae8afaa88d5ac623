"""What Django cannot declare: keys that hold the bucket, storage parameters, and the rows that exist from the start.

Every unique constraint includes the bucket, so that the tables can be distributed on it. The id stands first, so that
a look-up by id alone still has its index.
"""

from django.db import migrations

KEYED = ("task", "event", "batch", "delivery")


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


# Rows here are updated and deleted soon after they are inserted: leave room beside them, and vacuum early.
STORAGE = """
ALTER TABLE pgsupervise_task SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_limit = 2000);
ALTER TABLE pgsupervise_event SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE pgsupervise_batch SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE pgsupervise_delivery SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE pgsupervise_worker SET (fillfactor = 50);
ALTER TABLE pgsupervise_lease SET (fillfactor = 50);
"""
NO_STORAGE = """
ALTER TABLE pgsupervise_task RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_limit);
ALTER TABLE pgsupervise_event RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE pgsupervise_batch RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE pgsupervise_delivery RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE pgsupervise_worker RESET (fillfactor);
ALTER TABLE pgsupervise_lease RESET (fillfactor);
"""
ROWS = """
INSERT INTO pgsupervise_lease (bucket, epoch, changed_at) SELECT bucket, 0, now() FROM generate_series(-1, 255) bucket;
INSERT INTO pgsupervise_clock (id, simulated_at) VALUES (1, NULL);
"""
# The archive's first days, so that no row has to go to the default partition; the keeper makes those that follow. Nobody
# uses the archive yet, so the locks of PARTITION OF hinder nobody. Names and bounds as in partitions/retention.py.
DAYS = """
DO $$
DECLARE
    first date := (now() AT TIME ZONE 'UTC')::date;
    day date;
BEGIN
    FOR ahead IN 0..7 LOOP
        day := first + ahead;
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF pgsupervise_finishedtask FOR VALUES FROM (%L) TO (%L)',
            'pgsupervise_finishedtask_' || to_char(day, 'YYYYMMDD'),
            to_char(day, 'YYYY-MM-DD "00:00Z"'),
            to_char(day + 1, 'YYYY-MM-DD "00:00Z"')
        );
    END LOOP;
END $$
"""
NO_ROWS = "DELETE FROM pgsupervise_lease; DELETE FROM pgsupervise_clock;"


class Migration(migrations.Migration):
    dependencies = [("pgsupervise", "0001_initial")]

    operations = [
        *[migrations.RunSQL(with_bucket(table), without_bucket(table)) for table in KEYED],
        migrations.RunSQL(STORAGE, NO_STORAGE),
        migrations.RunSQL(ROWS, NO_ROWS),
        migrations.RunSQL(DAYS, migrations.RunSQL.noop),
    ]
