-- SENDING and its attempt are committed before the call. A recipient's digests go out in order: one that is being sent,
-- that is to be tried again, or that lies below the owner's mark holds back the later ones of the same recipient and channel.
-- One that waits for what its recipient wishes holds back its own policy's only.
-- What is PENDING may go, whichever clock has said so; one with a time to come can only be of a worker that knows no WAITING.
-- The OFFSETs keep the looks at other rows look-ups by recipient and by batch, whatever the statistics say.
-- Whether a recipient gets much is asked of its last few messages first: for most that is all that is read.
-- The lease's lock keeps a take-over waiting for this claim: see claim_tasks.sql.
WITH fence AS MATERIALIZED (
    SELECT
    FROM pgsupervise_lease
    WHERE bucket = %(bucket)s AND owner_id = %(owner)s AND epoch = %(epoch)s
    FOR SHARE
), clock AS MATERIALIZED (
    SELECT greatest(simulated_at, now()) AS latest
    FROM pgsupervise_clock
), chunk AS (
    SELECT d.id
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.state = 'PENDING' AND d.channel = ANY(%(channels)s) AND d.id > %(after)s
        AND d.not_before <= (SELECT latest FROM clock)
        AND NOT EXISTS (
            SELECT FROM pgsupervise_delivery earlier
            WHERE earlier.bucket = %(bucket)s AND earlier.recipient = d.recipient AND earlier.id < d.id
                AND earlier.channel = d.channel AND earlier.state IN ('PENDING', 'SENDING', 'RETRYING')
                AND (
                    earlier.state <> 'PENDING' OR earlier.id <= %(after)s
                    OR earlier.not_before > (SELECT latest FROM clock)
                )
            OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM pgsupervise_delivery waiting
            WHERE waiting.bucket = %(bucket)s AND waiting.recipient = d.recipient AND waiting.policy = d.policy
                AND waiting.channel = d.channel AND waiting.id < d.id AND waiting.state = 'WAITING'
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
RETURNING d.id, d.bucket, d.claim_token, d.batch_id, d.policy, d.recipient, d.channel, d.payload, d.attempt,
    EXISTS (
        SELECT FROM pgsupervise_preference p
        WHERE p.bucket = %(bucket)s AND p.recipient = d.recipient
        OFFSET 0
    ) OR EXISTS (
        SELECT FROM pgsupervise_recipient r
        WHERE r.bucket = %(bucket)s AND r.recipient = d.recipient AND r.quiet_from IS NOT NULL
        OFFSET 0
    ) OR EXISTS (
        SELECT FROM pgsupervise_event e
        WHERE e.bucket = %(bucket)s AND e.batch_id = d.batch_id AND e.read_at IS NOT NULL
        OFFSET 0
    ) OR (d.tenant <> '' AND EXISTS (
        SELECT FROM pgsupervise_tenantpreference t
        WHERE t.tenant = d.tenant
        OFFSET 0
    )) OR EXISTS (
        SELECT FROM pgsupervise_suppression s
        WHERE s.address = lower((d.payload ->> 'to') COLLATE "C")
        OFFSET 0
    ) AS is_doubtful,
    d.created_at,
    d.copies,
    CASE
        WHEN d.copies > 0 THEN %(frequent_at)s > 0
        WHEN %(frequent_at)s > 0 AND EXISTS (
            SELECT
            FROM (
                SELECT last.finished_at
                FROM pgsupervise_delivery last
                WHERE last.bucket = %(bucket)s AND last.recipient = d.recipient AND last.id < d.id
                ORDER BY last.id DESC
                LIMIT 4
            ) newest
            WHERE newest.finished_at IS NULL OR newest.finished_at > now() - interval '1 hour'
        ) THEN coalesce((
            SELECT past.finished_at IS NULL OR past.finished_at > now() - interval '1 hour'
            FROM pgsupervise_delivery past
            WHERE past.bucket = %(bucket)s AND past.id = (
                SELECT nth.id
                FROM pgsupervise_delivery nth
                WHERE nth.bucket = %(bucket)s AND nth.recipient = d.recipient AND nth.id < d.id
                ORDER BY nth.id DESC
                OFFSET %(frequent_at)s - 1
                LIMIT 1
            )
        ), false)
        ELSE false
    END AS is_frequent
