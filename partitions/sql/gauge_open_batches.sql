-- Batches of each bucket that are not SEALED, counted up to a cap. None of them is late as such: see the overdue ones.
SELECT l.bucket, counted.amount, 0::float8 AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount
    FROM (
        SELECT FROM pgsupervise_batch b
        WHERE b.bucket = l.bucket AND b.state <> 'SEALED'
        ORDER BY b.deliver_at
        LIMIT %(cap)s
    ) capped
) counted
WHERE l.bucket >= 0 AND counted.amount > 0
