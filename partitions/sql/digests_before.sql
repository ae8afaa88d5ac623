-- When the digests of these policies went out, or may have, that came before a delivery which is about to: newest first, a
-- row for each delivery. What was planned counts where the event clock is simulated, for what was done is in real time.
SELECT asked.policy, asked.recipient, past.batch_id, past.at
FROM unnest(%(policies)s::text[], %(recipients)s::text[], %(ids)s::bigint[]) AS asked (policy, recipient, id)
CROSS JOIN LATERAL (
    SELECT d.batch_id,
        CASE
            WHEN EXISTS (SELECT FROM pgsupervise_clock WHERE simulated_at IS NOT NULL) THEN d.not_before
            ELSE greatest(d.not_before, d.claimed_at, d.finished_at)
        END AS at
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.recipient = asked.recipient AND d.policy = asked.policy AND d.id < asked.id
        AND d.state IN ('SENDING', 'ACCEPTED', 'UNKNOWN')
    ORDER BY d.id DESC
    LIMIT %(limit)s
) past
