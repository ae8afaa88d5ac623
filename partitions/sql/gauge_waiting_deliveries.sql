-- WAITING and RETRYING deliveries of each bucket, counted up to a cap each; the age is how long the first of either has
-- been due, by its own clock, without being made PENDING.
SELECT l.bucket, waiting.amount + retrying.amount AS amount,
    extract(epoch FROM greatest(
        (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock) - waiting.not_before, now() - retrying.not_before
    ))::float8 AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount, min(capped.not_before) AS not_before
    FROM (
        SELECT d.not_before FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'WAITING'
        ORDER BY d.not_before
        LIMIT %(cap)s
    ) capped
) waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS amount, min(capped.not_before) AS not_before
    FROM (
        SELECT d.not_before FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'RETRYING'
        ORDER BY d.not_before
        LIMIT %(cap)s
    ) capped
) retrying
WHERE l.bucket >= 0 AND waiting.amount + retrying.amount > 0
