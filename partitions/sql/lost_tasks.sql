-- Tasks in the hands of processes that have ended. They stay locked until each one's fate is written, in the same
-- transaction. In order, so that a bucket's tasks become ready again in the order in which they are to run. One that a
-- stopped process holds locked is left for the next pass; one that was claimed anew since it was seen is not lost: the
-- token tells, for the owner's death is not asked again (see free_leases_of_the_dead.sql).
WITH seen AS MATERIALIZED (
    SELECT t.id, t.bucket, t.claim_token, coalesce(w.running_task = t.id, false) AS was_running,
        coalesce(w.end_reason, 'unknown') AS reason
    FROM pgsupervise_task t
    LEFT JOIN pgsupervise_worker w ON w.id = t.claimed_by
    WHERE t.state = 'IN PROGRESS' AND (w.id IS NULL OR w.state IN ('STOPPED', 'DEAD'))
    ORDER BY t.bucket, t.priority, t.id
    LIMIT %(limit)s
)
SELECT t.id, t.bucket, t.claim_token, t.name, t.attempt, t.max_attempts, t.crashes, seen.was_running, seen.reason,
    set_config('idle_in_transaction_session_timeout', '3s', true)
FROM pgsupervise_task t
JOIN seen ON seen.bucket = t.bucket AND seen.id = t.id
WHERE t.state = 'IN PROGRESS' AND t.claim_token = seen.claim_token
ORDER BY t.bucket, t.priority, t.id
FOR UPDATE OF t SKIP LOCKED
