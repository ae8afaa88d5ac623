-- What a fold changed in batches that were open before it.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_batch b
SET state = folded.state, closes_at = folded.closes_at, deliver_at = folded.deliver_at,
    item_count = folded.item_count, last_at = folded.last_at,
    slides_by = folded.slides_by * interval '1 microsecond', slides_until = folded.slides_until
FROM unnest(
        %(ids)s::bigint[], %(states)s::text[], %(closes_at)s::timestamptz[], %(deliver_at)s::timestamptz[],
        %(item_counts)s::int[], %(last_at)s::timestamptz[], %(slides_by)s::bigint[], %(slides_until)s::timestamptz[]
    ) AS folded (id, state, closes_at, deliver_at, item_count, last_at, slides_by, slides_until)
WHERE b.bucket = %(bucket)s AND b.id = folded.id AND b.state || '' = 'OPEN'
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
