-- Which of the worker's buckets have something to run, or a scheduled task whose time has come.
SELECT probe.bucket, probe.ready, probe.due
FROM (
    SELECT
        l.bucket,
        EXISTS (
            SELECT FROM pgsupervise_task t
            WHERE t.bucket = l.bucket AND t.state = 'READY' AND t.name = ANY(%(names)s)
        ) AS ready,
        EXISTS (
            SELECT FROM pgsupervise_task t
            WHERE t.bucket = l.bucket AND t.state = 'SCHEDULED' AND t.run_at <= now()
        ) AS due
    FROM pgsupervise_lease l
    WHERE l.owner_id = %(owner)s AND l.bucket >= 0
) probe
WHERE probe.ready OR probe.due
ORDER BY probe.bucket
