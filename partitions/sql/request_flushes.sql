-- One flush event for each key that has an open batch or pending events: it sorts behind all of them, so that the fold
-- closes the batch with what this statement saw in it. Events of policies that go into another one's digests count for
-- that one's batches: `guests` and `hosts` say which. A parameter that is NULL leaves nothing out. Where one batch is meant
-- the event names it: when it is folded, the batch may be sealed, and another one of the key be open.
INSERT INTO pgsupervise_event (bucket, policy, recipient, tenant, key, is_flush, occurred_at, data)
SELECT concerned.bucket, concerned.policy, concerned.recipient, concerned.tenant, concerned.key, true,
    greatest(clock.at, max(concerned.last_at)),
    CASE WHEN %(batch)s::bigint IS NULL THEN '{}' ELSE jsonb_build_object('batch', %(batch)s::bigint) END
FROM (
    SELECT b.bucket, b.policy, b.recipient, b.tenant, b.key, b.last_at, b.id AS batch_id
    FROM pgsupervise_batch b
    WHERE b.state = 'OPEN'
        AND (%(bucket)s::int IS NULL OR b.bucket = %(bucket)s::int)
        AND (%(recipient)s::text IS NULL OR b.recipient = %(recipient)s::text)
        AND (%(batch)s::bigint IS NULL OR b.id = %(batch)s::bigint)
    UNION ALL
    SELECT e.bucket, coalesce(hosted.host, e.policy), e.recipient, e.tenant, e.key, e.occurred_at, NULL
    FROM pgsupervise_event e
    LEFT JOIN unnest(%(guests)s::text[], %(hosts)s::text[]) AS hosted (guest, host) ON hosted.guest = e.policy
    WHERE e.state = 'PENDING' AND NOT e.is_flush
        AND (%(bucket)s::int IS NULL OR e.bucket = %(bucket)s::int)
        AND (%(recipient)s::text IS NULL OR e.recipient = %(recipient)s::text)
) concerned
CROSS JOIN (SELECT coalesce(simulated_at, now()) AS at FROM pgsupervise_clock) clock
WHERE (%(policy)s::text IS NULL OR concerned.policy = %(policy)s::text)
    AND (%(tenant)s::text IS NULL OR concerned.tenant = %(tenant)s::text)
GROUP BY concerned.bucket, concerned.policy, concerned.recipient, concerned.tenant, concerned.key, clock.at
HAVING %(batch)s::bigint IS NULL OR count(concerned.batch_id) > 0
