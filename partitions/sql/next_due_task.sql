-- In how many seconds the next scheduled task of these buckets becomes due; NULL where there is none.
SELECT extract(epoch FROM min(soonest.run_at) - now())::float8
FROM unnest(%(buckets)s::int[]) AS own (bucket)
CROSS JOIN LATERAL (
    SELECT t.run_at
    FROM pgsupervise_task t
    WHERE t.bucket = own.bucket AND t.state = 'SCHEDULED'
    ORDER BY t.run_at
    LIMIT 1
) soonest
