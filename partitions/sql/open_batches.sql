-- The open batches of these keys.
SELECT b.id, b.policy, b.recipient, b.key, b.opened_at, b.closes_at, b.item_count
FROM pgsupervise_batch b
JOIN unnest(%(policies)s::text[], %(recipients)s::text[], %(keys)s::text[]) AS wanted (policy, recipient, key)
    ON b.policy = wanted.policy AND b.recipient = wanted.recipient AND b.key = wanted.key
WHERE b.bucket = %(bucket)s AND b.state = 'OPEN'
