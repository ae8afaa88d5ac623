-- New events, found by state: a watermark over the sequence would miss those that commit late. The one over (occurred_at,
-- id) is for speed, and its user goes back to the start before it relies on having seen all: see supervisor/flushing.py.
SELECT id, policy, recipient, tenant, key, occurred_at,
    CASE
        WHEN is_flush AND data ? 'closes_at' THEN 'recompute'
        WHEN is_flush THEN 'flush'
        WHEN actor = recipient AND policy = ANY(%(own_left_out)s::text[]) THEN 'own'
        ELSE 'event'
    END,
    CASE WHEN is_flush OR policy = ANY(%(reading)s::text[]) THEN data::text END
FROM pgsupervise_event
WHERE bucket = %(bucket)s AND state = 'PENDING' AND policy = ANY(%(policies)s)
    AND (occurred_at, id) > (%(after_time)s, %(after_id)s)
ORDER BY occurred_at, id
LIMIT %(limit)s
