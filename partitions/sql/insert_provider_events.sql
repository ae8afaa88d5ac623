-- What a provider's webhook has brought; what it brought before is left out. In the order of the unique index: requests
-- that bring the same events at the same time wait for each other, and never in a circle.
INSERT INTO pgsupervise_providerevent
    (bucket, event_id, kind, delivery_id, attempt, address, reason, provider_id, occurred_at)
SELECT told.bucket, told.event_id, told.kind, told.delivery_id, told.attempt, told.address, told.reason,
    told.provider_id, told.occurred_at
FROM unnest(
        %(buckets)s::int[], %(event_ids)s::text[], %(kinds)s::text[], %(delivery_ids)s::bigint[], %(attempts)s::int[],
        %(addresses)s::text[], %(reasons)s::text[], %(provider_ids)s::text[], %(occurred_at)s::timestamptz[]
    ) AS told (bucket, event_id, kind, delivery_id, attempt, address, reason, provider_id, occurred_at)
ORDER BY told.bucket, told.event_id
ON CONFLICT (bucket, event_id) DO NOTHING
RETURNING bucket, event_id
