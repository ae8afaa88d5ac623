-- Events of a sealed batch that are not told, each with its reason. One that its sender has taken back meanwhile stays so.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_event e
SET state = 'FILTERED', reason = withheld.reason, left_out_at = now()
FROM unnest(%(ids)s::bigint[], %(reasons)s::text[]) AS withheld (id, reason)
WHERE e.bucket = %(bucket)s AND e.id = withheld.id AND e.state || '' = 'FOLDED'
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
