-- Deliveries of unknown fate whose grace has ended without a word of the provider about them. They go again where their
-- policy says so and the webhook has told of what happened after the attempt: then it would have told of this one, too.
-- The others are held for a person. What was told of them and is not yet taken note of comes first.
WITH ended AS MATERIALIZED (
    SELECT d.id,
        d.attempt < %(most_attempts)s AND (
            d.policy = ANY(%(resend_policies)s)
            OR d.policy = ANY(%(reconcile_policies)s) AND coalesce(d.finished_at <= %(told_until)s, false)
        ) AS goes_again
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.state = 'UNKNOWN' AND d.unknown_until <= now()
        AND NOT EXISTS (
            SELECT FROM pgsupervise_providerevent e
            WHERE e.bucket = %(bucket)s AND e.delivery_id = d.id AND e.applied_at IS NULL
            OFFSET 0
        )
        AND EXISTS (
            SELECT FROM pgsupervise_lease l
            WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
        )
    ORDER BY d.unknown_until
    LIMIT %(limit)s
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE pgsupervise_delivery d
SET state = CASE WHEN ended.goes_again THEN 'PENDING' ELSE 'UNKNOWN' END,
    unknown_until = NULL,
    not_before = CASE WHEN ended.goes_again THEN now() ELSE d.not_before END,
    finished_at = CASE WHEN ended.goes_again THEN NULL ELSE d.finished_at END
FROM ended
WHERE d.bucket = %(bucket)s AND d.id = ended.id
RETURNING d.id, d.policy, ended.goes_again
