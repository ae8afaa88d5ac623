-- The recipient has seen these; those that are in no message yet will not be.
UPDATE pgsupervise_event e
SET read_at = now(),
    state = CASE WHEN taken.is_out THEN 'FILTERED' ELSE e.state END,
    reason = CASE WHEN taken.is_out THEN 'read' ELSE e.reason END,
    left_out_at = CASE WHEN taken.is_out THEN now() ELSE e.left_out_at END
FROM unnest(%(buckets)s::int[], %(ids)s::bigint[], %(outs)s::bool[]) AS taken (bucket, id, is_out)
WHERE e.bucket = taken.bucket AND e.id = taken.id AND e.read_at IS NULL
