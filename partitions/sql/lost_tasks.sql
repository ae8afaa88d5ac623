-- Tasks in the hands of processes that have ended. Every write about them is fenced by the token that is read here.
SELECT t.id, t.bucket, t.claim_token, t.crashes, coalesce(w.running_task = t.id, false), coalesce(w.end_reason, 'unknown')
FROM pgsupervise_task t
LEFT JOIN pgsupervise_worker w ON w.id = t.claimed_by
WHERE t.state = 'IN PROGRESS' AND (w.id IS NULL OR w.state IN ('STOPPED', 'DEAD'))
LIMIT %(limit)s
