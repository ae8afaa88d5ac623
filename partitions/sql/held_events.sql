-- Recipients of pending events that somebody else's transaction has locked.
WITH free AS (
    SELECT e.id
    FROM pgsupervise_event e
    WHERE e.bucket = %(bucket)s AND e.id = ANY(%(ids)s::bigint[])
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT DISTINCT e.recipient
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.id = ANY(%(ids)s::bigint[]) AND e.id NOT IN (SELECT free.id FROM free)
