-- Failed, with attempts left: wait out the backoff.
UPDATE pgsupervise_task t
SET state = 'SCHEDULED', run_at = now() + make_interval(secs => failed.delay), claimed_by = NULL, claimed_at = NULL,
    error = failed.error, traceback = failed.traceback
FROM unnest(
        %(ids)s::bigint[], %(tokens)s::bigint[], %(delays)s::float8[], %(errors)s::text[], %(tracebacks)s::text[]
    ) AS failed (id, token, delay, error, traceback)
WHERE t.bucket = %(bucket)s AND t.id = failed.id AND t.state = 'IN PROGRESS' AND t.claim_token = failed.token
RETURNING t.id
