-- The first due batches of tenants that a chunk has left out, which ends with (after_time, after_id): one of each tenant,
-- then the second ones, and so on; see deliveries_in_turn.sql. Each is the very next that its recipient is to get. The
-- OFFSETs keep the looks at a recipient's other batches look-ups.
WITH RECURSIVE tenant AS (
    SELECT %(last)s::text AS name
    UNION ALL
    SELECT following.tenant
    FROM tenant
    CROSS JOIN LATERAL (
        SELECT b.tenant
        FROM pgsupervise_batch b
        WHERE b.bucket = %(bucket)s AND b.state <> 'SEALED' AND b.tenant <> '' AND b.tenant > tenant.name
        ORDER BY b.tenant
        LIMIT 1
    ) following
), head AS (
    SELECT first.id, first.deliver_at, first.recipient, first.tenant, first.place
    FROM tenant
    CROSS JOIN LATERAL (
        SELECT b.id, b.deliver_at, b.recipient, b.tenant, row_number() OVER (ORDER BY b.deliver_at, b.id) AS place
        FROM pgsupervise_batch b
        WHERE b.bucket = %(bucket)s AND b.state <> 'SEALED' AND b.tenant <> '' AND b.tenant = tenant.name
            AND b.policy = ANY(%(policies)s) AND b.deliver_at <= %(clock)s
            AND (b.deliver_at, b.id) > (%(after_time)s, %(after_id)s)
        ORDER BY b.deliver_at, b.id
        LIMIT %(limit)s
    ) first
    WHERE tenant.name > %(last)s AND tenant.name NOT IN (SELECT unnest(%(served)s::text[]))
    LIMIT %(limit)s * %(limit)s
), without AS (
    SELECT b.id, b.deliver_at, b.recipient, b.tenant, row_number() OVER (ORDER BY b.deliver_at, b.id) AS place
    FROM pgsupervise_batch b
    WHERE b.bucket = %(bucket)s AND b.state <> 'SEALED' AND b.tenant = '' AND b.policy = ANY(%(policies)s)
        AND b.deliver_at <= %(clock)s AND (b.deliver_at, b.id) > (%(after_time)s, %(after_id)s)
        AND '' <> ALL(%(served)s::text[])
    ORDER BY b.deliver_at, b.id
    LIMIT %(limit)s
), chosen AS (
    SELECT left_out.tenant, left_out.deliver_at, left_out.id, left_out.place
    FROM (
        SELECT id, deliver_at, recipient, tenant, place FROM without
        UNION ALL
        SELECT id, deliver_at, recipient, tenant, place FROM head
    ) left_out
    WHERE NOT EXISTS (
            SELECT FROM pgsupervise_batch earlier
            WHERE earlier.bucket = %(bucket)s AND earlier.recipient = left_out.recipient AND earlier.state = 'OPEN'
                AND earlier.policy = ANY(%(policies)s)
                AND (earlier.deliver_at, earlier.id) < (left_out.deliver_at, left_out.id)
                AND (earlier.deliver_at, earlier.id) > (%(after_time)s, %(after_id)s)
            OFFSET 0
        ) AND NOT EXISTS (
            SELECT FROM pgsupervise_batch earlier
            WHERE earlier.bucket = %(bucket)s AND earlier.recipient = left_out.recipient AND earlier.state = 'CLOSED'
                AND earlier.policy = ANY(%(policies)s)
                AND (earlier.deliver_at, earlier.id) < (left_out.deliver_at, left_out.id)
                AND (earlier.deliver_at, earlier.id) > (%(after_time)s, %(after_id)s)
            OFFSET 0
        )
    ORDER BY left_out.place, left_out.tenant
    LIMIT %(limit)s
), reached AS (
    SELECT CASE
            WHEN (SELECT count(DISTINCT chosen.tenant) FROM chosen) = %(limit)s THEN (SELECT max(chosen.tenant) FROM chosen)
            WHEN (SELECT count(*) FROM head) = %(limit)s * %(limit)s THEN (SELECT max(head.tenant) FROM head)
            ELSE ''
        END AS last
)
SELECT reached.last, chosen.deliver_at, chosen.id
FROM reached
LEFT JOIN chosen ON true
ORDER BY chosen.place, chosen.tenant
