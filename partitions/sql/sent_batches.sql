-- Which of these batches a channel has taken, or may have. One that was tried and waits for its next try, or got none for
-- what its recipient wished meanwhile, may have been taken by then; one that was refused, before that, or at last where a
-- person has refused to send again what was of unknown fate.
SELECT DISTINCT d.batch_id
FROM unnest(%(buckets)s::int[], %(ids)s::bigint[]) AS wanted (bucket, id)
JOIN pgsupervise_delivery d ON d.bucket = wanted.bucket AND d.batch_id = wanted.id
WHERE d.state IN ('SENDING', 'ACCEPTED', 'UNKNOWN') OR d.copies > 0
    OR d.attempt > CASE d.state WHEN 'REFUSED' THEN 1 ELSE 0 END
    OR (d.state = 'REFUSED' AND d.error LIKE 'not to be sent again, decided by %%')
