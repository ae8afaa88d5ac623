-- Which of the worker's buckets have something to run behind their watermarks, or a scheduled task whose time has come.
-- Each look is LATERAL with a LIMIT: an EXISTS in the select list may be answered by hashing the whole table.
SELECT own.bucket, ready.found IS NOT NULL, due.found IS NOT NULL
FROM unnest(%(buckets)s::int[], %(after_priorities)s::int[], %(after_ids)s::bigint[])
    AS own (bucket, after_priority, after_id)
LEFT JOIN LATERAL (
    SELECT true AS found
    FROM pgsupervise_task t
    WHERE t.bucket = own.bucket AND t.state = 'READY' AND t.name = ANY(%(names)s)
        AND (t.priority, t.id) > (own.after_priority, own.after_id)
    LIMIT 1
) ready ON true
LEFT JOIN LATERAL (
    SELECT true AS found
    FROM pgsupervise_task t
    WHERE t.bucket = own.bucket AND t.state = 'SCHEDULED' AND t.run_at <= now()
    LIMIT 1
) due ON true
WHERE ready.found OR due.found
