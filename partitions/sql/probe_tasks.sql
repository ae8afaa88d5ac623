-- Which of the worker's buckets have something to run behind their watermarks, or a scheduled task whose time has come.
SELECT probe.bucket, probe.ready, probe.due
FROM (
    SELECT
        own.bucket,
        EXISTS (
            SELECT FROM pgsupervise_task t
            WHERE t.bucket = own.bucket AND t.state = 'READY' AND t.name = ANY(%(names)s)
                AND (t.priority, t.id) > (own.after_priority, own.after_id)
        ) AS ready,
        EXISTS (
            SELECT FROM pgsupervise_task t
            WHERE t.bucket = own.bucket AND t.state = 'SCHEDULED' AND t.run_at <= now()
        ) AS due
    FROM unnest(%(buckets)s::int[], %(after_priorities)s::int[], %(after_ids)s::bigint[])
        AS own (bucket, after_priority, after_id)
) probe
WHERE probe.ready OR probe.due
ORDER BY probe.bucket
