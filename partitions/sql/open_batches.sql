-- The open batches of these keys. What was retracted is counted in item_count still: the owner alone writes the row.
SELECT b.id, b.policy, b.recipient, b.tenant, b.key, b.opened_at, b.closes_at, b.item_count, b.last_at,
    (
        SELECT count(*) FROM pgsupervise_event e
        WHERE e.bucket = %(bucket)s AND e.batch_id = b.id AND e.state IN ('RETRACTED', 'FILTERED')
    ),
    b.slides_by, b.slides_until
FROM unnest(%(policies)s::text[], %(recipients)s::text[], %(tenants)s::text[], %(keys)s::text[])
    AS wanted (policy, recipient, tenant, key)
JOIN pgsupervise_batch b
    ON b.policy = wanted.policy AND b.recipient = wanted.recipient AND b.tenant = wanted.tenant AND b.key = wanted.key
WHERE b.bucket = %(bucket)s AND b.state = 'OPEN'
