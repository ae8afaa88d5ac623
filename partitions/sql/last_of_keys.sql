-- When the last event of each of these keys occurred, by the batches that came last: late events may have opened the very last one.
SELECT wanted.policy, wanted.recipient, wanted.tenant, wanted.key, last.last_at
FROM unnest(%(policies)s::text[], %(recipients)s::text[], %(tenants)s::text[], %(keys)s::text[])
    AS wanted (policy, recipient, tenant, key)
CROSS JOIN LATERAL (
    SELECT max(recent.last_at) AS last_at
    FROM (
        SELECT b.last_at
        FROM pgsupervise_batch b
        WHERE b.bucket = %(bucket)s AND b.recipient = wanted.recipient AND b.policy = wanted.policy
            AND b.tenant = wanted.tenant AND b.key = wanted.key AND b.last_at IS NOT NULL
        ORDER BY b.id DESC
        LIMIT 8
    ) recent
) last
WHERE last.last_at IS NOT NULL
