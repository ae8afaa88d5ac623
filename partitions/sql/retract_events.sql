-- Events that will be in no digest; see hold_batches.sql for why that is certain.
UPDATE pgsupervise_event e
SET state = 'RETRACTED', left_out_at = now()
FROM unnest(%(buckets)s::int[], %(ids)s::bigint[]) AS taken (bucket, id)
WHERE e.bucket = taken.bucket AND e.id = taken.id
