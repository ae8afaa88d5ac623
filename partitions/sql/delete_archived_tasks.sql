-- Second half of finishing, in the same transaction, of what the first half has locked and copied; by the same fence, so
-- that the two can be sent without waiting for the answer to the first.
DELETE FROM pgsupervise_task t
USING unnest(%(ids)s::bigint[], %(tokens)s::bigint[], %(places)s::tid[]) AS ended (id, token, place)
WHERE t.bucket = %(bucket)s AND t.ctid = ended.place AND t.id = ended.id AND t.claimed_by IS NOT NULL AND t.claim_token = ended.token
