-- The first event of a kind is the one that is kept: the same one told twice, or another one later, changes nothing. In the
-- order of the unique index, so that two who write at once wait for each other in one direction only.
INSERT INTO pgsupervise_suppression (kind, address, reason, note, event_id, occurred_at)
SELECT DISTINCT ON (new.address, new.kind, new.reason)
    new.kind, new.address, new.reason, new.note, new.event_id, coalesce(new.occurred_at, now())
FROM unnest(
        %(kinds)s::text[], %(addresses)s::text[], %(reasons)s::text[], %(notes)s::text[], %(event_ids)s::text[],
        %(times)s::timestamptz[]
    ) AS new (kind, address, reason, note, event_id, occurred_at)
ORDER BY new.address, new.kind, new.reason, new.occurred_at
ON CONFLICT (address, kind, reason) DO NOTHING
