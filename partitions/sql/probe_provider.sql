-- The owner's buckets in which a provider's events have come, or the grace of a delivery of unknown fate has ended.
SELECT l.bucket
FROM pgsupervise_lease l
WHERE l.owner_id = %(owner)s AND l.bucket >= 0 AND (
    EXISTS (
        SELECT FROM pgsupervise_providerevent e
        WHERE e.bucket = l.bucket AND e.applied_at IS NULL
        OFFSET 0
    ) OR EXISTS (
        SELECT FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'UNKNOWN' AND d.unknown_until <= now()
        OFFSET 0
    )
)
ORDER BY l.bucket
