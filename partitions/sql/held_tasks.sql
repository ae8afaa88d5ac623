-- Which of these claims are still ours: what could not be written then is locked by somebody, not lost.
SELECT t.id
FROM pgsupervise_task t
JOIN unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS held (id, token) ON t.id = held.id
WHERE t.bucket = %(bucket)s AND t.claimed_by IS NOT NULL AND t.claim_token = held.token
