-- Failed, with attempts left: wait out the backoff. A row that somebody holds locked is left for later.
WITH failed AS MATERIALIZED (
    SELECT t.id, again.delay, again.error, again.traceback
    FROM unnest(
            %(ids)s::bigint[], %(tokens)s::bigint[], %(delays)s::float8[], %(errors)s::text[], %(tracebacks)s::text[]
        ) AS again (id, token, delay, error, traceback)
    JOIN pgsupervise_task t ON t.id = again.id
    WHERE t.bucket = %(bucket)s AND t.claimed_by IS NOT NULL AND t.claim_token = again.token
        AND (SELECT set_config('idle_in_transaction_session_timeout', '3s', true)) IS NOT NULL
    FOR UPDATE OF t SKIP LOCKED
)
UPDATE pgsupervise_task t
SET state = 'SCHEDULED', run_at = now() + make_interval(secs => failed.delay), claimed_by = NULL, claimed_at = NULL,
    error = failed.error, traceback = failed.traceback
FROM failed
WHERE t.bucket = %(bucket)s AND t.id = failed.id
RETURNING t.id
