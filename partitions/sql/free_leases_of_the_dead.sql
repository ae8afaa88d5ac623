-- A lease is worth what its owner's heartbeat is worth. A row that somebody holds locked is left for the next pass: a
-- stopped owner may hold it in an open transaction, and its other buckets, and everybody else's, must not wait for that.
-- What was seen is locked only if it still has that owner and epoch: the condition on the owner's death is not asked
-- again for a row that changed meanwhile (PostgreSQL rechecks a join with the rows of the other tables that it had).
WITH seen AS MATERIALIZED (
    SELECT l.bucket, l.owner_id, l.epoch
    FROM pgsupervise_lease l
    WHERE l.owner_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM pgsupervise_worker w WHERE w.id = l.owner_id AND w.state IN ('ACTIVE', 'DRAINING')
    )
), dead AS MATERIALIZED (
    SELECT l.bucket
    FROM pgsupervise_lease l
    JOIN seen ON seen.bucket = l.bucket
    WHERE l.owner_id = seen.owner_id AND l.epoch = seen.epoch
    ORDER BY l.bucket
    FOR UPDATE OF l SKIP LOCKED
)
UPDATE pgsupervise_lease l
SET owner_id = NULL, changed_at = now()
FROM dead
WHERE l.bucket = dead.bucket
RETURNING l.bucket
