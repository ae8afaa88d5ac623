-- Processes that have not beaten for their own time-to-dead; supervisors of different settings may share the tables.
SELECT id, beat_at
FROM pgsupervise_worker
WHERE state IN ('ACTIVE', 'DRAINING') AND beat_at < now() - make_interval(secs => dead_after)
