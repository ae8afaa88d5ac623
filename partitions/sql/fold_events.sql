-- Each event gets its batch, once. Where one is no longer pending, since it was taken back after it was read, the division
-- fails the transaction: its batch has counted it, and may have been opened by it.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
WITH written AS (
    UPDATE pgsupervise_event e
    SET state = 'FOLDED', batch_id = folded.batch_id
    FROM unnest(%(ids)s::bigint[], %(batch_ids)s::bigint[]) AS folded (id, batch_id)
    WHERE e.bucket = %(bucket)s AND e.id = folded.id AND e.state || '' = 'PENDING'
        AND EXISTS (
            SELECT FROM pgsupervise_lease l
            WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
        )
    RETURNING e.id
)
SELECT 1 / (count(*) = cardinality(%(ids)s::bigint[]))::int AS all_were_pending
FROM written
