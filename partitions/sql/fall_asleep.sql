-- Lock each bucket for this session, as far as nobody who enqueues shares its lock; says how many that were.
SELECT count(*)
FROM unnest(%(buckets)s::int[]) AS owned (bucket)
WHERE pg_try_advisory_lock(%(lock)s, owned.bucket)
