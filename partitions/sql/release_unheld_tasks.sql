-- A claim whose COMMIT succeeded but whose reply was lost: the row is ours and nobody runs it.
UPDATE pgsupervise_task
SET state = 'READY', claim_token = claim_token + 1, claimed_by = NULL, claimed_at = NULL, attempt = attempt - 1
WHERE claimed_by = %(owner)s AND state = 'IN PROGRESS' AND NOT id = ANY(%(held)s)
RETURNING id
