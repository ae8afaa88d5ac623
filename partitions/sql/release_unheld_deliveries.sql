-- A claim whose COMMIT succeeded but whose reply was lost: it was never handed to a sender. Only claims of before the
-- question: where this statement itself is held up on its way, it must not take what was claimed since. Where the provider
-- has told meanwhile that it took an earlier attempt, there is nothing left to send.
UPDATE pgsupervise_delivery
SET state = CASE WHEN proven_attempts IS NULL THEN 'PENDING' ELSE 'ACCEPTED' END,
    claim_token = claim_token + 1, claimed_by = NULL, claimed_at = NULL, attempt = attempt - 1,
    error = CASE WHEN proven_attempts IS NULL THEN error ELSE '' END,
    finished_at = CASE WHEN proven_attempts IS NOT NULL THEN now() END
WHERE claimed_by = %(owner)s AND state = 'SENDING' AND NOT id = ANY(%(held)s) AND claimed_at <= %(before)s
RETURNING id
