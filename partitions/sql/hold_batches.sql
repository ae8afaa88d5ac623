-- Which of these batches are not sealed; they are not until the transaction ends. Who comes while the owner seals one waits
-- for that, and does not get it.
SELECT b.id
FROM unnest(%(buckets)s::int[], %(ids)s::bigint[]) AS wanted (bucket, id)
JOIN pgsupervise_batch b ON b.bucket = wanted.bucket AND b.id = wanted.id
WHERE b.state || '' <> 'SEALED'
ORDER BY b.id
FOR SHARE OF b
