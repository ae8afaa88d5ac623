-- Recipients of pending events that somebody else's transaction has locked.
WITH free AS (
    SELECT e.id
    FROM unnest(%(ids)s::bigint[]) AS wanted (id)
    JOIN pgsupervise_event e ON e.id = wanted.id
    WHERE e.bucket = %(bucket)s
    FOR NO KEY UPDATE OF e SKIP LOCKED
)
SELECT DISTINCT e.recipient
FROM unnest(%(ids)s::bigint[]) AS wanted (id)
JOIN pgsupervise_event e ON e.id = wanted.id
WHERE e.bucket = %(bucket)s AND e.id NOT IN (SELECT free.id FROM free)
