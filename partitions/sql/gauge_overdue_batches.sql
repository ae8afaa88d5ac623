-- Batches of each bucket whose time has come on the event clock and that are not SEALED yet, counted up to a cap.
SELECT
    l.bucket,
    counted.amount,
    extract(epoch FROM (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock) - counted.deliver_at)::float8
        AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount, min(capped.deliver_at) AS deliver_at
    FROM (
        SELECT b.deliver_at FROM pgsupervise_batch b
        WHERE b.bucket = l.bucket AND b.state <> 'SEALED'
            AND b.deliver_at < (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock)
        ORDER BY b.deliver_at
        LIMIT %(cap)s
    ) capped
) counted
WHERE l.bucket >= 0 AND counted.amount > 0
