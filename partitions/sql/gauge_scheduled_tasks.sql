-- SCHEDULED tasks of each bucket, counted up to a cap; the age is how long the first has been due without promotion.
SELECT l.bucket, counted.amount, extract(epoch FROM now() - first.run_at)::float8 AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount
    FROM (
        SELECT FROM pgsupervise_task t
        WHERE t.bucket = l.bucket AND t.state = 'SCHEDULED'
        ORDER BY t.run_at
        LIMIT %(cap)s
    ) capped
) counted
CROSS JOIN LATERAL (
    SELECT t.run_at FROM pgsupervise_task t
    WHERE t.bucket = l.bucket AND t.state = 'SCHEDULED'
    ORDER BY t.run_at
    LIMIT 1
) first
WHERE l.bucket >= 0
