-- A claim whose COMMIT succeeded but whose reply was lost: it was never handed to a sender.
UPDATE pgsupervise_delivery
SET state = 'PENDING', claim_token = claim_token + 1, claimed_by = NULL, claimed_at = NULL, attempt = attempt - 1
WHERE claimed_by = %(owner)s AND state = 'SENDING' AND NOT id = ANY(%(held)s)
RETURNING id
