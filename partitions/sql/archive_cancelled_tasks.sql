-- Copy tasks that were cancelled before they began, or after they were taken from their worker, into the archive.
INSERT INTO pgsupervise_finishedtask
    (id, bucket, name, key, args, kwargs, priority, state, max_attempts, attempt, crashes, run_at, created_at,
     started_at, finished_at, worker, error, traceback)
SELECT t.id, t.bucket, t.name, t.key, t.args, t.kwargs, t.priority, 'CANCELLED', t.max_attempts, t.attempt, t.crashes,
    t.run_at, t.created_at, NULL, now(), NULL, t.error, t.traceback
FROM pgsupervise_task t
WHERE t.bucket = %(bucket)s AND t.id = ANY(%(ids)s) AND t.state IN ('SCHEDULED', 'READY')
    AND t.cancel_requested_at IS NOT NULL
