-- What is to be known of batches just before their deliveries are sent: the tenant, whether anything is in them, and of which
-- policies what has not been read since they were sealed.
SELECT b.id, b.tenant, told.policies IS NOT NULL, coalesce(told.unread, '{}')
FROM unnest(%(ids)s::bigint[]) AS doubtful (id)
JOIN pgsupervise_batch b ON b.id = doubtful.id
CROSS JOIN LATERAL (
    SELECT array_agg(of_policy.policy) AS policies,
        array_agg(of_policy.policy) FILTER (WHERE of_policy.is_unread) AS unread
    FROM (
        SELECT e.policy, bool_or(e.read_at IS NULL) AS is_unread
        FROM pgsupervise_event e
        WHERE e.bucket = %(bucket)s AND e.batch_id = b.id AND e.state = 'FOLDED'
        GROUP BY e.policy
    ) of_policy
) told
WHERE b.bucket = %(bucket)s
