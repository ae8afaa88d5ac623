-- These of a recipient's events, as far as it has not read them. See lock_events_about.sql.
SELECT e.id, e.bucket, e.state, e.batch_id
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.id = ANY(%(ids)s::bigint[]) AND e.recipient = %(recipient)s AND e.read_at IS NULL
    AND NOT e.is_flush
ORDER BY e.id
FOR UPDATE
