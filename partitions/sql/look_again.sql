-- What is to be known of batches just before their deliveries are sent: the tenant, and whether all that is in them has
-- been read since they were sealed. The OFFSETs keep the looks look-ups by batch.
SELECT b.id, b.tenant,
    EXISTS (
        SELECT FROM pgsupervise_event e
        WHERE e.bucket = %(bucket)s AND e.batch_id = b.id AND e.state = 'FOLDED' AND e.read_at IS NOT NULL
        OFFSET 0
    ) AND NOT EXISTS (
        SELECT FROM pgsupervise_event e
        WHERE e.bucket = %(bucket)s AND e.batch_id = b.id AND e.state = 'FOLDED' AND e.read_at IS NULL
        OFFSET 0
    ) AS is_read
FROM unnest(%(ids)s::bigint[]) AS doubtful (id)
JOIN pgsupervise_batch b ON b.id = doubtful.id
WHERE b.bucket = %(bucket)s
