-- Which of the worker's buckets have events to fold, batches to seal, or deliveries to send.
SELECT probe.bucket, probe.pending, probe.due, probe.waiting
FROM (
    SELECT
        l.bucket,
        EXISTS (
            SELECT FROM pgsupervise_event e
            WHERE e.bucket = l.bucket AND e.state = 'PENDING' AND e.policy = ANY(%(policies)s)
        ) AS pending,
        EXISTS (
            SELECT FROM pgsupervise_batch b
            WHERE b.bucket = l.bucket AND b.state <> 'SEALED' AND b.policy = ANY(%(policies)s)
                AND b.deliver_at <= (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock)
        ) AS due,
        EXISTS (
            SELECT FROM pgsupervise_delivery d
            WHERE d.bucket = l.bucket AND d.state = 'PENDING' AND d.not_before <= now()
                AND d.channel = ANY(%(channels)s)
        ) AS waiting
    FROM pgsupervise_lease l
    WHERE l.owner_id = %(owner)s AND l.bucket >= 0
) probe
WHERE probe.pending OR probe.due OR probe.waiting
ORDER BY probe.bucket
