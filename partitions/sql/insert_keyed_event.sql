-- An event whose idempotency key may be taken; then there is no row.
INSERT INTO pgsupervise_event
    (bucket, policy, recipient, key, actor, object, data, occurred_at, tenant, about_type, about_id, idempotency_key)
VALUES (
    %(bucket)s, %(policy)s, %(recipient)s, %(key)s, %(actor)s, %(object)s, %(data)s::jsonb,
    coalesce(%(occurred_at)s::timestamptz, (SELECT simulated_at FROM pgsupervise_clock), now()), %(tenant)s, %(about_type)s, %(about_id)s, %(idempotency_key)s
)
ON CONFLICT (bucket, recipient, policy, idempotency_key) WHERE NOT (idempotency_key = '') DO NOTHING
RETURNING id
