-- Claimed but not started: no attempt is burnt. The token rises so that a late write of ours would be refused.
UPDATE pgsupervise_task t
SET state = 'READY', claim_token = t.claim_token + 1, claimed_by = NULL, claimed_at = NULL, attempt = t.attempt - 1
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS held (id, token)
WHERE t.bucket = %(bucket)s AND t.id = held.id AND t.state = 'IN PROGRESS' AND t.claim_token = held.token
RETURNING t.id
