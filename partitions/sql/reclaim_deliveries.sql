-- Deliveries in the hands of processes that have ended: nobody knows whether they went out, unless the provider has told.
-- They go again where that is harmless, or declared and not too often yet; the others are held as UNKNOWN, for the grace in
-- which the provider may tell or for a person. The token tells one that was claimed anew since it was seen.
WITH seen AS MATERIALIZED (
    SELECT d.bucket, d.id, d.claim_token
    FROM pgsupervise_delivery d
    WHERE d.state = 'SENDING' AND NOT EXISTS (
        SELECT FROM pgsupervise_worker w WHERE w.id = d.claimed_by AND w.state IN ('ACTIVE', 'DRAINING')
    )
    LIMIT %(limit)s
), lost AS MATERIALIZED (
    SELECT d.bucket, d.id,
        CASE
            WHEN d.proven_attempts IS NOT NULL THEN 'ACCEPTED'
            WHEN d.channel = ANY(%(safe_channels)s) THEN 'PENDING'
            WHEN NOT d.policy = ANY(%(resend_policies)s) OR d.copies + 1 >= %(most_copies)s THEN 'UNKNOWN'
            WHEN %(resend_after)s::float8 > 0 THEN 'RETRYING'
            ELSE 'PENDING'
        END AS fate
    FROM pgsupervise_delivery d
    JOIN seen ON seen.bucket = d.bucket AND seen.id = d.id
    WHERE d.state = 'SENDING' AND d.claim_token = seen.claim_token
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE pgsupervise_delivery d
SET state = lost.fate, copies = d.copies + 1, claim_token = d.claim_token + 1, claimed_by = NULL, claimed_at = NULL,
    not_before = now() + CASE WHEN lost.fate = 'RETRYING' THEN make_interval(secs => %(resend_after)s::float8) ELSE '0' END,
    unknown_until = CASE
        WHEN lost.fate = 'UNKNOWN' AND d.policy = ANY(%(reconcile_policies)s) AND d.channel = ANY(%(telling_channels)s)
            AND d.copies + 1 < %(most_copies)s
            THEN now() + make_interval(secs => %(grace)s)
    END,
    finished_at = CASE WHEN lost.fate IN ('ACCEPTED', 'UNKNOWN') THEN now() END,
    error = CASE WHEN lost.fate = 'ACCEPTED' THEN '' ELSE 'its worker ended during the call' END
FROM lost
WHERE d.bucket = lost.bucket AND d.id = lost.id AND d.state = 'SENDING'
RETURNING d.id, d.state
