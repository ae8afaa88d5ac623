-- Which of these batches a channel has taken, or may have.
SELECT DISTINCT d.batch_id
FROM unnest(%(buckets)s::int[], %(ids)s::bigint[]) AS wanted (bucket, id)
JOIN pgsupervise_delivery d ON d.bucket = wanted.bucket AND d.batch_id = wanted.id
WHERE d.state IN ('SENDING', 'ACCEPTED', 'UNKNOWN')
