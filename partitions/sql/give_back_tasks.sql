-- Claimed but not started: no attempt is burnt. The token rises so that a late write of ours would be refused. A row that
-- somebody holds locked is left for later.
WITH unstarted AS MATERIALIZED (
    SELECT t.id
    FROM pgsupervise_task t
    JOIN unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS held (id, token) ON t.id = held.id
    WHERE t.bucket = %(bucket)s AND t.claimed_by IS NOT NULL AND t.claim_token = held.token
    FOR UPDATE OF t SKIP LOCKED
)
UPDATE pgsupervise_task t
SET state = 'READY', claim_token = t.claim_token + 1, claimed_by = NULL, claimed_at = NULL, attempt = t.attempt - 1
FROM unstarted
WHERE t.bucket = %(bucket)s AND t.id = unstarted.id
RETURNING t.id
