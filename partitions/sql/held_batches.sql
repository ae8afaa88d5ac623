-- Recipients of batches that somebody else's transaction has locked.
WITH free AS (
    SELECT b.id
    FROM unnest(%(ids)s::bigint[]) AS wanted (id)
    JOIN pgsupervise_batch b ON b.id = wanted.id
    WHERE b.bucket = %(bucket)s
    FOR NO KEY UPDATE OF b SKIP LOCKED
)
SELECT DISTINCT b.recipient
FROM unnest(%(ids)s::bigint[]) AS wanted (id)
JOIN pgsupervise_batch b ON b.id = wanted.id
WHERE b.bucket = %(bucket)s AND b.id NOT IN (SELECT free.id FROM free)
