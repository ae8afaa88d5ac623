-- The parent saw the process end (waitpid): no need to wait for silence. It also knows what was running.
UPDATE pgsupervise_worker
SET state = 'DEAD', ended_at = now(), end_reason = %(reason)s, running_task = %(running_task)s
WHERE id = %(id)s AND state IN ('ACTIVE', 'DRAINING')
RETURNING id
