-- PENDING deliveries of each bucket, counted up to a cap, and how long the oldest could have been sent: from when it might.
SELECT l.bucket, counted.amount, extract(epoch FROM now() - oldest.not_before)::float8 AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount
    FROM (
        SELECT FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'PENDING'
        ORDER BY d.id
        LIMIT %(cap)s
    ) capped
) counted
CROSS JOIN LATERAL (
    SELECT min(head.not_before) AS not_before
    FROM (
        SELECT d.not_before FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'PENDING'
        ORDER BY d.id
        LIMIT 64
    ) head
) oldest
WHERE l.bucket >= 0 AND counted.amount > 0
