-- When the batches of these keys are due that are closed and not sealed, by a time that the event clock has not reached: only
-- events of the future make such, so that this is hardly ever asked.
SELECT wanted.policy, wanted.recipient, wanted.tenant, wanted.key, former.due
FROM unnest(%(policies)s::text[], %(recipients)s::text[], %(tenants)s::text[], %(keys)s::text[])
    AS wanted (policy, recipient, tenant, key)
CROSS JOIN LATERAL (
    SELECT max(b.deliver_at) AS due
    FROM pgsupervise_batch b
    WHERE b.bucket = %(bucket)s AND b.recipient = wanted.recipient AND b.policy = wanted.policy
        AND b.tenant = wanted.tenant AND b.key = wanted.key AND b.state = 'CLOSED'
) former
WHERE former.due IS NOT NULL
