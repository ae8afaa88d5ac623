-- Recipients of batches of which an item was taken out.
SELECT DISTINCT e.recipient
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.batch_id = ANY(%(ids)s::bigint[]) AND e.state IN ('RETRACTED', 'FILTERED')
    AND e.id = ANY(%(item_ids)s::bigint[])
