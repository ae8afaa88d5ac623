-- Many events, of which some may have idempotency keys that are taken: these are left out. In the order in which they came.
INSERT INTO pgsupervise_event
    (bucket, policy, recipient, key, actor, object, data, occurred_at, tenant, about_type, about_id, idempotency_key)
SELECT new.bucket, new.policy, new.recipient, new.key, new.actor, new.object, new.data, new.occurred_at, new.tenant,
    new.about_type, new.about_id, new.idempotency_key
FROM unnest(
        %(bucket)s::int[], %(policy)s::text[], %(recipient)s::text[], %(key)s::text[], %(actor)s::text[],
        %(object)s::text[], %(data)s::jsonb[], %(occurred_at)s::timestamptz[], %(tenant)s::text[],
        %(about_type)s::text[], %(about_id)s::text[], %(idempotency_key)s::text[]
    ) WITH ORDINALITY AS new (
        bucket, policy, recipient, key, actor, object, data, occurred_at, tenant, about_type, about_id, idempotency_key,
        position
    )
ORDER BY new.position
ON CONFLICT (bucket, recipient, policy, idempotency_key) WHERE NOT (idempotency_key = '') DO NOTHING
