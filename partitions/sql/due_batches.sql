-- Batches whose time has come, oldest first, with the ids of their items in order and the size of these: so the caller
-- reads no more at once than fits into memory. Of policies whose content nobody takes the size is not asked for. The last
-- column says whether anything is stored about the recipient or the tenant: mostly nothing is, and nothing more is read.
-- The OFFSETs keep these looks look-ups: the planner would rather hash whole tables once.
SELECT due.id, due.policy, due.recipient, due.tenant, due.key, due.opened_at, due.closes_at, due.deliver_at, items.ids,
    items.bytes,
    EXISTS (
        SELECT FROM pgsupervise_recipient r
        WHERE r.bucket = %(bucket)s AND r.recipient = due.recipient
        OFFSET 0
    ) OR EXISTS (
        SELECT FROM pgsupervise_preference p
        WHERE p.bucket = %(bucket)s AND p.recipient = due.recipient
        OFFSET 0
    ) OR (due.tenant <> '' AND EXISTS (
        SELECT FROM pgsupervise_tenantpreference t
        WHERE t.tenant = due.tenant
        OFFSET 0
    )) AS is_known
FROM (
    SELECT id, policy, recipient, tenant, key, opened_at, closes_at, deliver_at
    FROM pgsupervise_batch
    WHERE bucket = %(bucket)s AND state <> 'SEALED' AND policy = ANY(%(policies)s) AND deliver_at <= %(clock)s
        AND (deliver_at, id) > (%(after_time)s, %(after_id)s)
    ORDER BY deliver_at, id
    LIMIT %(limit)s
) due
CROSS JOIN LATERAL (
    SELECT array_agg(e.id ORDER BY e.occurred_at, e.id) AS ids,
        coalesce(sum(CASE WHEN due.policy = ANY(%(bare)s) THEN 0 ELSE octet_length(e.data::text) END), 0) AS bytes
    FROM pgsupervise_event e
    WHERE e.bucket = %(bucket)s AND e.batch_id = due.id AND e.state = 'FOLDED'
) items
ORDER BY due.deliver_at, due.id
