-- SENDING and its attempt are committed before the call. A recipient's digests go out in order: one that is being sent,
-- that waits for its retry, or that lies below the owner's mark holds back the later ones of the same recipient and channel.
-- The OFFSET keeps the look at the earlier ones a look-up by recipient, whatever the statistics say.
-- The lease's lock keeps a take-over waiting for this claim: see claim_tasks.sql.
WITH fence AS MATERIALIZED (
    SELECT
    FROM pgsupervise_lease
    WHERE bucket = %(bucket)s AND owner_id = %(owner)s AND epoch = %(epoch)s
    FOR SHARE
), chunk AS (
    SELECT d.id
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.state = 'PENDING' AND d.not_before <= now() AND d.channel = ANY(%(channels)s)
        AND d.id > %(after)s
        AND NOT EXISTS (
            SELECT FROM pgsupervise_delivery earlier
            WHERE earlier.bucket = %(bucket)s AND earlier.recipient = d.recipient AND earlier.id < d.id
                AND earlier.channel = d.channel AND earlier.state IN ('PENDING', 'SENDING')
                AND (earlier.state = 'SENDING' OR earlier.not_before > now() OR earlier.id <= %(after)s)
            OFFSET 0
        )
        AND EXISTS (SELECT FROM fence)
    ORDER BY d.id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE pgsupervise_delivery d
SET state = 'SENDING', attempt = d.attempt + 1, claim_token = d.claim_token + 1, claimed_by = %(owner)s, claimed_at = now()
FROM chunk
WHERE d.bucket = %(bucket)s AND d.id = chunk.id
RETURNING d.id, d.bucket, d.claim_token, d.batch_id, d.policy, d.recipient, d.channel, d.payload, d.attempt
