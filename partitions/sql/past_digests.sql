-- When recipients got, or are to get, policies' last digests, newest first: a row for each delivery, of which a batch may
-- have several. What was planned counts where the event clock is simulated, for what was done is in real time.
SELECT asked.policy, asked.recipient, past.batch_id, past.at
FROM unnest(%(policies)s::text[], %(recipients)s::text[]) AS asked (policy, recipient)
CROSS JOIN LATERAL (
    SELECT d.batch_id,
        CASE
            WHEN EXISTS (SELECT FROM pgsupervise_clock WHERE simulated_at IS NOT NULL) THEN d.not_before
            ELSE greatest(d.not_before, d.finished_at)
        END AS at
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.recipient = asked.recipient AND d.policy = asked.policy
        AND d.state NOT IN ('REFUSED', 'SKIPPED')
    ORDER BY d.id DESC
    LIMIT %(limit)s
) past
