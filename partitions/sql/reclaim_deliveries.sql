-- Deliveries in the hands of processes that have ended: nobody knows whether they went out. They go again where that is
-- harmless or declared; the others are held as UNKNOWN. The token tells one that was claimed anew since it was seen.
WITH seen AS MATERIALIZED (
    SELECT d.bucket, d.id, d.claim_token
    FROM pgsupervise_delivery d
    WHERE d.state = 'SENDING' AND NOT EXISTS (
        SELECT FROM pgsupervise_worker w WHERE w.id = d.claimed_by AND w.state IN ('ACTIVE', 'DRAINING')
    )
    LIMIT %(limit)s
), lost AS MATERIALIZED (
    SELECT d.bucket, d.id
    FROM pgsupervise_delivery d
    JOIN seen ON seen.bucket = d.bucket AND seen.id = d.id
    WHERE d.state = 'SENDING' AND d.claim_token = seen.claim_token
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE pgsupervise_delivery d
SET state = CASE WHEN d.channel = ANY(%(safe_channels)s) OR d.policy = ANY(%(resend_policies)s)
        THEN 'PENDING' ELSE 'UNKNOWN' END,
    claim_token = d.claim_token + 1, claimed_by = NULL, claimed_at = NULL, not_before = now(),
    error = 'its worker ended during the call'
FROM lost
WHERE d.bucket = lost.bucket AND d.id = lost.id AND d.state = 'SENDING'
RETURNING d.id, d.state
