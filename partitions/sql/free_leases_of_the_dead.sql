-- A lease is worth what its owner's heartbeat is worth. A row that somebody holds locked is left for the next pass: a
-- stopped owner may hold it in an open transaction, and its other buckets, and everybody else's, must not wait for that.
WITH dead AS MATERIALIZED (
    SELECT l.bucket
    FROM pgsupervise_lease l
    WHERE l.owner_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM pgsupervise_worker w WHERE w.id = l.owner_id AND w.state IN ('ACTIVE', 'DRAINING')
    )
    ORDER BY l.bucket
    FOR UPDATE OF l SKIP LOCKED
)
UPDATE pgsupervise_lease l
SET owner_id = NULL, changed_at = now()
FROM dead
WHERE l.bucket = dead.bucket
RETURNING l.bucket
