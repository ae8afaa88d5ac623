-- The batches that a fold opened; some of them it closed again.
INSERT INTO pgsupervise_batch
    (id, bucket, policy, recipient, tenant, key, state, opened_at, closes_at, deliver_at, item_count, last_at,
    slides_by, slides_until)
SELECT new.id, %(bucket)s, new.policy, new.recipient, new.tenant, new.key, new.state, new.opened_at, new.closes_at,
    new.deliver_at, new.item_count, new.last_at, new.slides_by * interval '1 microsecond', new.slides_until
FROM unnest(
        %(ids)s::bigint[], %(policies)s::text[], %(recipients)s::text[], %(tenants)s::text[], %(keys)s::text[],
        %(states)s::text[],
        %(opened_at)s::timestamptz[], %(closes_at)s::timestamptz[], %(deliver_at)s::timestamptz[],
        %(item_counts)s::int[], %(last_at)s::timestamptz[], %(slides_by)s::bigint[], %(slides_until)s::timestamptz[]
    ) AS new (id, policy, recipient, tenant, key, state, opened_at, closes_at, deliver_at, item_count, last_at, slides_by,
        slides_until)
WHERE EXISTS (
    SELECT FROM pgsupervise_lease l
    WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
)
