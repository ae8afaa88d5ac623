-- Give up the locks of all buckets: the session holds no others.
SELECT pg_advisory_unlock_all()
