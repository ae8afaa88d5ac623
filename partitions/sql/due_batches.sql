-- Batches whose time has come, oldest first, each with its items in order, in one statement.
WITH due AS MATERIALIZED (
    SELECT id, policy, recipient, key, opened_at, closes_at, deliver_at
    FROM pgsupervise_batch
    WHERE bucket = %(bucket)s AND state <> 'SEALED' AND policy = ANY(%(policies)s) AND deliver_at <= %(clock)s
    ORDER BY deliver_at, id
    LIMIT %(limit)s
)
SELECT due.id, due.policy, due.recipient, due.key, due.opened_at, due.closes_at, items.items
FROM due
CROSS JOIN LATERAL (
    SELECT jsonb_agg(
        jsonb_build_array(e.id, to_jsonb(e.occurred_at), e.actor, e.object, e.data) ORDER BY e.occurred_at, e.id
    ) AS items
    FROM pgsupervise_event e
    WHERE e.bucket = %(bucket)s AND e.batch_id = due.id
) items
ORDER BY due.deliver_at, due.id
