-- First half of finishing: copy what is still ours into the archive. The row locks hold until the second half, but not
-- for ever where the process is stopped between the two: then the server ends the session. A row that somebody holds
-- locked, such as a cancel() that is not committed yet, is left for later: the worker must not wait for it.
INSERT INTO pgsupervise_finishedtask
    (id, bucket, name, key, args, kwargs, priority, state, max_attempts, attempt, crashes, run_at, created_at,
     started_at, finished_at, worker, error, traceback)
SELECT t.id, t.bucket, t.name, t.key, t.args, t.kwargs, t.priority, ended.state, t.max_attempts, t.attempt,
    t.crashes + ended.crashes, t.run_at, t.created_at, t.claimed_at, now(), t.claimed_by,
    coalesce(ended.error, t.error), coalesce(ended.traceback, t.traceback)
FROM unnest(
        %(ids)s::bigint[], %(tokens)s::bigint[], %(states)s::text[], %(crashes)s::int[], %(errors)s::text[],
        %(tracebacks)s::text[]
    ) AS ended (id, token, state, crashes, error, traceback)
CROSS JOIN (SELECT set_config('idle_in_transaction_session_timeout', '3s', true) OFFSET 0) AS bounded (patience)
JOIN pgsupervise_task t ON t.id = ended.id
WHERE t.bucket = %(bucket)s AND t.state = 'IN PROGRESS' AND t.claim_token = ended.token
FOR UPDATE OF t SKIP LOCKED
RETURNING id
