-- What is known after the call, or before one that is not made. What is tried again waits on the real clock; what was too
-- early waits until a time of the event clock, and keeps what its last try has said.
-- Matches the claim and the lease's epoch: a stale sender changes nothing.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_delivery d
SET state = sent.state, claimed_by = NULL, claimed_at = NULL, attempt = d.attempt - sent.unburnt,
    provider_id = sent.provider_id, error = CASE WHEN sent.state = 'WAITING' THEN d.error ELSE sent.error END,
    not_before = CASE
        WHEN sent.state = 'WAITING' THEN sent.until
        WHEN sent.state = 'RETRYING' THEN now() + make_interval(secs => sent.delay)
        ELSE d.not_before
    END,
    finished_at = CASE WHEN sent.state IN ('PENDING', 'WAITING', 'RETRYING') THEN NULL ELSE now() END
FROM unnest(
        %(ids)s::bigint[], %(tokens)s::bigint[], %(states)s::text[], %(provider_ids)s::text[], %(errors)s::text[],
        %(delays)s::float8[], %(until)s::timestamptz[], %(unburnt)s::int[]
    ) AS sent (id, token, state, provider_id, error, delay, until, unburnt)
WHERE d.bucket = %(bucket)s AND d.id = sent.id AND d.state || '' = 'SENDING' AND d.claim_token = sent.token
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
RETURNING d.id
