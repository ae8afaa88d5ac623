-- A process takes its leave; what it still owns is free for the others at once.
UPDATE pgsupervise_worker
SET state = 'STOPPED', ended_at = now(), end_reason = %(reason)s, running_task = NULL
WHERE id = %(id)s AND state IN ('ACTIVE', 'DRAINING')
