-- New events, found by state: a watermark over the sequence would miss those that commit late.
SELECT id, policy, recipient, key, occurred_at
FROM pgsupervise_event
WHERE bucket = %(bucket)s AND state = 'PENDING' AND policy = ANY(%(policies)s)
ORDER BY occurred_at, id
LIMIT %(limit)s
