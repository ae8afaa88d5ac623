-- The heartbeat. Who has been buried does not come back to life: the row lock lets either the beat or the burial win.
UPDATE pgsupervise_worker
SET beat_at = now(), state = %(state)s, running_task = %(running_task)s
WHERE id = %(id)s AND state IN ('ACTIVE', 'DRAINING')
RETURNING id
