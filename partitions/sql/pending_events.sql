-- New events, found by state: a watermark over the sequence would miss those that commit late. The one over (occurred_at,
-- id) is for speed, and its user goes back to the start before it relies on having seen all: see supervisor/flushing.py.
SELECT id, policy, recipient, key, occurred_at
FROM pgsupervise_event
WHERE bucket = %(bucket)s AND state = 'PENDING' AND policy = ANY(%(policies)s)
    AND (occurred_at, id) > (%(after_time)s, %(after_id)s)
ORDER BY occurred_at, id
LIMIT %(limit)s
