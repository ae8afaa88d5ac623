-- Each event gets its batch, once.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_event e
SET state = 'FOLDED', batch_id = folded.batch_id
FROM unnest(%(ids)s::bigint[], %(batch_ids)s::bigint[]) AS folded (id, batch_id)
WHERE e.bucket = %(bucket)s AND e.id = folded.id AND e.state || '' = 'PENDING'
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
