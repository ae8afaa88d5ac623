-- Make ready what the dead left behind; a crash is counted apart from the attempts, and only for what was running.
UPDATE pgsupervise_task t
SET state = 'READY', claim_token = t.claim_token + 1, claimed_by = NULL, claimed_at = NULL, attempt = t.attempt - 1,
    crashes = t.crashes + lost.crashes,
    error = CASE WHEN lost.crashes > 0 THEN lost.error ELSE t.error END
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[], %(crashes)s::int[], %(errors)s::text[])
    AS lost (id, token, crashes, error)
WHERE t.id = lost.id AND t.state = 'IN PROGRESS' AND t.claim_token = lost.token
RETURNING t.id
