-- First half of finishing: copy what is still ours into the archive. A row that somebody holds locked, such as by a
-- cancel() that is not committed yet, fails the statement: who must not fail takes the locks before (lock_tasks.sql).
-- A row is looked for where the claim has put it, which costs half as much as by the primary key; whoever moves it leaves
-- it to lock_tasks. Only a task IN PROGRESS has a claimed_by, the table's constraint says; said in these words it
-- keeps the planner from the index of the tasks IN PROGRESS, which it takes for empty and reads in full.
-- The arrays after the first three may be shorter: what is missing at their ends is NULL here, a task that is DONE.
INSERT INTO pgsupervise_finishedtask
    (id, bucket, name, key, args, kwargs, priority, state, max_attempts, attempt, crashes, run_at, created_at,
     started_at, finished_at, worker, error, traceback)
SELECT t.id, t.bucket, t.name, t.key, t.args, t.kwargs, t.priority, coalesce(ended.state, 'DONE'), t.max_attempts,
    t.attempt, t.crashes + coalesce(ended.crashes, 0), t.run_at, t.created_at, t.claimed_at, now(), t.claimed_by,
    coalesce(ended.error, t.error), coalesce(ended.traceback, t.traceback)
FROM unnest(
        %(ids)s::bigint[], %(tokens)s::bigint[], %(places)s::tid[], %(states)s::text[], %(crashes)s::int[],
        %(errors)s::text[], %(tracebacks)s::text[]
    ) AS ended (id, token, place, state, crashes, error, traceback)
JOIN pgsupervise_task t ON t.ctid = ended.place AND t.id = ended.id
WHERE t.bucket = %(bucket)s AND t.claimed_by IS NOT NULL AND t.claim_token = ended.token
FOR UPDATE OF t NOWAIT
RETURNING id
