-- Events that a fold puts into no batch, each with its reason.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_event e
SET state = 'FILTERED', reason = filtered.reason, left_out_at = now()
FROM unnest(%(ids)s::bigint[], %(reasons)s::text[]) AS filtered (id, reason)
WHERE e.bucket = %(bucket)s AND e.id = filtered.id AND e.state || '' = 'PENDING'
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
