-- Deliveries of unknown fate of each bucket, counted up to a cap; the age is that of the first one's row.
SELECT l.bucket, counted.amount, extract(epoch FROM now() - counted.created_at)::float8 AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount, min(capped.created_at) AS created_at
    FROM (
        SELECT d.created_at FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'UNKNOWN'
        ORDER BY d.id
        LIMIT %(cap)s
    ) capped
) counted
WHERE l.bucket >= 0 AND counted.amount > 0
