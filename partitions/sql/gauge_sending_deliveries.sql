-- Deliveries in SENDING by bucket and how long ago the oldest was claimed. The cap is for all buckets together.
SELECT claimed.bucket, count(*) AS amount, extract(epoch FROM now() - min(claimed.claimed_at))::float8 AS age_seconds
FROM (
    SELECT d.bucket, d.claimed_at FROM pgsupervise_delivery d
    WHERE d.state = 'SENDING'
    ORDER BY d.claimed_by
    LIMIT 256 * %(cap)s
) claimed
GROUP BY claimed.bucket
