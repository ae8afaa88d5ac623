-- The parent saw the process end (waitpid): no need to wait for silence. It also knows what was running. A row that
-- somebody holds locked is left for later: the other dead must not wait for it.
WITH ended AS MATERIALIZED (
    SELECT w.id
    FROM pgsupervise_worker w
    WHERE w.id = %(id)s AND w.state IN ('ACTIVE', 'DRAINING')
    FOR UPDATE SKIP LOCKED
)
UPDATE pgsupervise_worker w
SET state = 'DEAD', ended_at = now(), end_reason = %(reason)s, running_task = %(running_task)s
FROM ended
WHERE w.id = ended.id
RETURNING w.id
