-- A chunk of one bucket, by equality, behind the watermark: dead index entries in front are not walked again. SKIP LOCKED
-- stays although the bucket has one owner: ownership is for order, fairness and speed, the row lock is for safety.
-- The lease's lock keeps a take-over waiting for this claim: the statement of a worker that was killed runs on, and the
-- next owner would skip the rows that it has locked, and run those behind them first. A row is found again by its place,
-- which costs half as much as by the primary key; one that somebody has moved meanwhile is left for the next claim.
WITH fence AS MATERIALIZED (
    SELECT
    FROM pgsupervise_lease
    WHERE bucket = %(bucket)s AND owner_id = %(owner)s AND epoch = %(epoch)s
    FOR SHARE
), chunk AS (
    SELECT ctid AS place
    FROM pgsupervise_task
    WHERE bucket = %(bucket)s AND state = 'READY' AND name = ANY(%(names)s) AND cancel_requested_at IS NULL
        AND (priority, id) > (%(after_priority)s, %(after_id)s)
        AND EXISTS (SELECT FROM fence)
    ORDER BY priority, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE pgsupervise_task t
SET state = 'IN PROGRESS', claim_token = t.claim_token + 1, claimed_by = %(owner)s, claimed_at = now(),
    attempt = t.attempt + 1
FROM chunk
WHERE t.bucket = %(bucket)s AND t.ctid = chunk.place
RETURNING t.id, t.bucket, t.claim_token, t.name, t.args::text, t.kwargs::text, t.attempt, t.max_attempts, t.crashes,
    t.key, t.priority, t.ctid
