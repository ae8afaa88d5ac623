-- Second half of finishing, in the same transaction, of what the first half has locked and copied; by the same fence.
DELETE FROM pgsupervise_task t
USING unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS ended (id, token)
WHERE t.bucket = %(bucket)s AND t.id = ended.id AND t.state = 'IN PROGRESS' AND t.claim_token = ended.token
