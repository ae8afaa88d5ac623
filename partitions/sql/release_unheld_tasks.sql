-- A claim whose COMMIT succeeded but whose reply was lost: the row is ours and nobody runs it. Only claims of before the
-- question: where this statement itself is held up on its way, it must not take what was claimed since.
WITH unheld AS MATERIALIZED (
    SELECT t.bucket, t.id
    FROM pgsupervise_task t
    WHERE t.claimed_by = %(owner)s AND t.state = 'IN PROGRESS' AND NOT t.id = ANY(%(held)s)
        AND t.claimed_at <= %(before)s
    FOR UPDATE SKIP LOCKED
)
UPDATE pgsupervise_task t
SET state = 'READY', claim_token = t.claim_token + 1, claimed_by = NULL, claimed_at = NULL, attempt = t.attempt - 1
FROM unheld
WHERE t.bucket = unheld.bucket AND t.id = unheld.id
RETURNING t.id
