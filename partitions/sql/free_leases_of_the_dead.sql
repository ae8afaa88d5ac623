-- A lease is worth what its owner's heartbeat is worth.
UPDATE pgsupervise_lease l
SET owner_id = NULL, changed_at = now()
WHERE l.owner_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM pgsupervise_worker w WHERE w.id = l.owner_id AND w.state IN ('ACTIVE', 'DRAINING')
)
RETURNING l.bucket
