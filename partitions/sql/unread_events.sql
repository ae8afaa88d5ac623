-- All that a recipient has not read: what waits to be folded, and what is in its batches.
SELECT e.id
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.state = 'PENDING' AND e.recipient = %(recipient)s AND e.read_at IS NULL
    AND NOT e.is_flush
UNION ALL
SELECT e.id
FROM pgsupervise_batch b
JOIN pgsupervise_event e ON e.batch_id = b.id AND e.bucket = b.bucket
WHERE b.bucket = %(bucket)s AND b.recipient = %(recipient)s AND e.state = 'FOLDED' AND e.read_at IS NULL
