-- What is known after the call, or before one that is not made. What is tried again waits on the real clock; what was too
-- early waits until a time of the event clock, and keeps what its last try has said. A provider that has told of an attempt,
-- of this one or an earlier one, has taken the message: that is known better than any failure to hear so.
-- Matches the claim and the lease's epoch: a stale sender changes nothing.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_delivery d
SET state = CASE WHEN d.proven_attempts IS NULL THEN sent.state ELSE 'ACCEPTED' END,
    claimed_by = NULL, claimed_at = NULL, attempt = d.attempt - sent.unburnt, copies = d.copies + sent.copies,
    provider_id = sent.provider_id,
    error = CASE
        WHEN d.proven_attempts IS NOT NULL THEN ''
        WHEN sent.state = 'WAITING' THEN d.error
        ELSE sent.error
    END,
    not_before = CASE
        WHEN sent.state = 'WAITING' THEN sent.until
        WHEN sent.state = 'RETRYING' THEN now() + make_interval(secs => sent.delay)
        ELSE d.not_before
    END,
    unknown_until = CASE
        WHEN sent.state = 'UNKNOWN' AND sent.delay > 0 AND d.proven_attempts IS NULL
            THEN now() + make_interval(secs => sent.delay)
    END,
    finished_at = CASE
        WHEN sent.state NOT IN ('PENDING', 'WAITING', 'RETRYING') OR d.proven_attempts IS NOT NULL THEN now()
    END
FROM unnest(
        %(ids)s::bigint[], %(tokens)s::bigint[], %(states)s::text[], %(provider_ids)s::text[], %(errors)s::text[],
        %(delays)s::float8[], %(until)s::timestamptz[], %(unburnt)s::int[], %(copies)s::int[]
    ) AS sent (id, token, state, provider_id, error, delay, until, unburnt, copies)
WHERE d.bucket = %(bucket)s AND d.id = sent.id AND d.state || '' = 'SENDING' AND d.claim_token = sent.token
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
RETURNING d.id
