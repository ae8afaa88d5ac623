-- What is known after the call; what is tried again waits on the real clock. Matches the claim and the lease's epoch: a stale sender changes nothing.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_delivery d
SET state = sent.state, claimed_by = NULL, claimed_at = NULL, attempt = d.attempt - sent.unburnt,
    provider_id = sent.provider_id, error = sent.error,
    not_before = CASE WHEN sent.state = 'PENDING' THEN now() + make_interval(secs => sent.delay) ELSE d.not_before END,
    finished_at = CASE WHEN sent.state = 'PENDING' THEN NULL ELSE now() END
FROM unnest(
        %(ids)s::bigint[], %(tokens)s::bigint[], %(states)s::text[], %(provider_ids)s::text[], %(errors)s::text[],
        %(delays)s::float8[], %(unburnt)s::int[]
    ) AS sent (id, token, state, provider_id, error, delay, unburnt)
WHERE d.bucket = %(bucket)s AND d.id = sent.id AND d.state || '' = 'SENDING' AND d.claim_token = sent.token
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
RETURNING d.id
