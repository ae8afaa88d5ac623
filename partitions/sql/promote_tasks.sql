-- SCHEDULED is a state of its own so that future tasks do not stand in front of ready ones in the index.
WITH due AS (
    SELECT id
    FROM pgsupervise_task
    WHERE bucket = %(bucket)s AND state = 'SCHEDULED' AND run_at <= now()
    ORDER BY run_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE pgsupervise_task t
SET state = 'READY'
FROM due
WHERE t.bucket = %(bucket)s AND t.id = due.id
