-- The first deliveries of tenants that a claim which found more than it could take has left out: one of each tenant, then
-- the second ones, and so on. Those without a tenant count as one. The names are found one by one from the last one served,
-- and only as far as they are wanted. Each is the very next that its recipient is to get by its channel, so that it may go
-- before others: see claim_deliveries.sql. Of a tenant only the head is looked at. Where not all had room the next turn goes on
-- behind the last one that was looked at, also where nothing of it may go: it keeps the others' turn no longer than this.
WITH RECURSIVE served AS MATERIALIZED (
    SELECT DISTINCT d.tenant
    FROM unnest(%(claimed)s::bigint[]) AS claimed (id)
    JOIN pgsupervise_delivery d ON d.id = claimed.id
    WHERE d.bucket = %(bucket)s
), clock AS MATERIALIZED (
    SELECT greatest(simulated_at, now()) AS latest
    FROM pgsupervise_clock
), tenant AS (
    SELECT %(last)s::text AS name
    UNION ALL
    SELECT following.tenant
    FROM tenant
    CROSS JOIN LATERAL (
        SELECT d.tenant
        FROM pgsupervise_delivery d
        WHERE d.bucket = %(bucket)s AND d.state = 'PENDING' AND d.tenant <> '' AND d.tenant > tenant.name
        ORDER BY d.tenant
        LIMIT 1
    ) following
), head AS (
    SELECT first.id, first.recipient, first.channel, first.policy, first.tenant, first.place
    FROM tenant
    CROSS JOIN LATERAL (
        SELECT d.id, d.recipient, d.channel, d.policy, d.tenant, row_number() OVER (ORDER BY d.id) AS place
        FROM pgsupervise_delivery d
        WHERE d.bucket = %(bucket)s AND d.state = 'PENDING' AND d.tenant <> '' AND d.tenant = tenant.name
            AND d.channel = ANY(%(channels)s)
            AND d.not_before <= (SELECT latest FROM clock)
        ORDER BY d.id
        LIMIT %(limit)s
    ) first
    WHERE tenant.name > %(last)s AND tenant.name NOT IN (SELECT served.tenant FROM served)
    LIMIT %(limit)s * %(limit)s
), without AS (
    SELECT d.id, d.recipient, d.channel, d.policy, d.tenant, row_number() OVER (ORDER BY d.id) AS place
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.state = 'PENDING' AND d.tenant = '' AND d.id > %(after)s
        AND d.channel = ANY(%(channels)s)
        AND d.not_before <= (SELECT latest FROM clock)
        AND NOT EXISTS (SELECT FROM served WHERE served.tenant = '')
    ORDER BY d.id
    LIMIT %(limit)s
), chosen AS (
    SELECT left_out.tenant, left_out.id, left_out.place
    FROM (
        SELECT id, recipient, channel, policy, tenant, place FROM without
        UNION ALL
        SELECT id, recipient, channel, policy, tenant, place FROM head
    ) left_out
    WHERE NOT EXISTS (
            SELECT FROM pgsupervise_delivery earlier
            WHERE earlier.bucket = %(bucket)s AND earlier.recipient = left_out.recipient AND earlier.id < left_out.id
                AND earlier.channel = left_out.channel AND earlier.state IN ('PENDING', 'SENDING', 'RETRYING')
            OFFSET 0
        ) AND NOT EXISTS (
            SELECT FROM pgsupervise_delivery waiting
            WHERE waiting.bucket = %(bucket)s AND waiting.recipient = left_out.recipient
                AND waiting.policy = left_out.policy AND waiting.channel = left_out.channel AND waiting.id < left_out.id
                AND waiting.state = 'WAITING'
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
SELECT reached.last, chosen.id
FROM reached
LEFT JOIN chosen ON true
ORDER BY chosen.place, chosen.tenant
