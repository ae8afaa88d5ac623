-- Notify the sleeping owners of these buckets; see wakeups.py.
SELECT pg_notify(%(channel)s || written.bucket, '')
FROM unnest(%(buckets)s::int[]) AS written (bucket)
WHERE NOT pg_try_advisory_xact_lock_shared(%(lock)s, written.bucket)
