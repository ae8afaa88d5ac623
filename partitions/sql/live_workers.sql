-- Who shares the buckets: the oldest supervisor first, then by slot.
SELECT w.id, w.supervisor, w.slot, w.partitions, w.processes, w.state = 'DRAINING'
FROM pgsupervise_worker w
WHERE w.kind = 'worker' AND w.state IN ('ACTIVE', 'DRAINING')
    AND w.beat_at >= now() - make_interval(secs => w.dead_after)
ORDER BY min(w.started_at) OVER (PARTITION BY w.supervisor), w.supervisor, w.slot, w.started_at DESC
