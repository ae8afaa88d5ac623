-- All of the wanted buckets or none. The share lock on our own worker row makes a burial wait for us or stop us:
-- otherwise a bucket could come into the hands of the dead after the dead one's buckets were freed.
WITH me AS MATERIALIZED (
    SELECT id FROM pgsupervise_worker WHERE id = %(owner)s AND state = 'ACTIVE' FOR SHARE
), wanted AS MATERIALIZED (
    SELECT bucket
    FROM pgsupervise_lease
    WHERE bucket = ANY(%(buckets)s) AND owner_id IS NULL
    ORDER BY bucket
    FOR UPDATE SKIP LOCKED
)
UPDATE pgsupervise_lease l
SET owner_id = %(owner)s, epoch = l.epoch + 1, changed_at = now()
FROM wanted, me
WHERE l.bucket = wanted.bucket AND (SELECT count(*) FROM wanted) = cardinality(%(buckets)s::smallint[])
RETURNING l.bucket, l.epoch
