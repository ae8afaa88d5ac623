-- Batches whose time has come, oldest first, with the size of their items: so the caller reads no more items at once
-- than fit into memory.
SELECT due.id, due.policy, due.recipient, due.key, due.opened_at, due.closes_at, items.amount, items.bytes
FROM (
    SELECT id, policy, recipient, key, opened_at, closes_at, deliver_at
    FROM pgsupervise_batch
    WHERE bucket = %(bucket)s AND state <> 'SEALED' AND policy = ANY(%(policies)s) AND deliver_at <= %(clock)s
    ORDER BY deliver_at, id
    LIMIT %(limit)s
) due
CROSS JOIN LATERAL (
    SELECT count(e.id) AS amount, coalesce(sum(octet_length(e.data::text)), 0) AS bytes
    FROM pgsupervise_event e
    WHERE e.bucket = %(bucket)s AND e.batch_id = due.id
) items
ORDER BY due.deliver_at, due.id
