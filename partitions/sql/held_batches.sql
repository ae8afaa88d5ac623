-- Recipients of batches that somebody else's transaction has locked.
WITH free AS (
    SELECT b.id
    FROM pgsupervise_batch b
    WHERE b.bucket = %(bucket)s AND b.id = ANY(%(ids)s::bigint[])
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT DISTINCT b.recipient
FROM pgsupervise_batch b
WHERE b.bucket = %(bucket)s AND b.id = ANY(%(ids)s::bigint[]) AND b.id NOT IN (SELECT free.id FROM free)
