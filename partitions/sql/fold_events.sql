-- Each event gets its batch, once.
UPDATE pgsupervise_event e
SET state = 'FOLDED', batch_id = folded.batch_id
FROM unnest(%(ids)s::bigint[], %(batch_ids)s::bigint[]) AS folded (id, batch_id)
WHERE e.bucket = %(bucket)s AND e.id = folded.id AND e.state = 'PENDING'
