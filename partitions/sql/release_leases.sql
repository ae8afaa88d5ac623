-- Give buckets back on purpose.
UPDATE pgsupervise_lease
SET owner_id = NULL, changed_at = now()
WHERE bucket = ANY(%(buckets)s) AND owner_id = %(owner)s
RETURNING bucket
