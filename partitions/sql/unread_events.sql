-- What a recipient has not read of all that it has not been sent: what waits to be folded, what is in its batches, and
-- what is in messages that are still to go. However much was sent before, it is not walked through.
SELECT e.id
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.state = 'PENDING' AND e.recipient = %(recipient)s AND e.read_at IS NULL
    AND NOT e.is_flush
UNION ALL
SELECT DISTINCT e.id
FROM (
    SELECT b.id
    FROM pgsupervise_batch b
    WHERE b.bucket = %(bucket)s AND b.recipient = %(recipient)s AND b.state = 'OPEN'
    UNION ALL
    SELECT b.id
    FROM pgsupervise_batch b
    WHERE b.bucket = %(bucket)s AND b.recipient = %(recipient)s AND b.state = 'CLOSED'
    UNION ALL
    SELECT d.batch_id
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.recipient = %(recipient)s AND d.state IN ('PENDING', 'SENDING', 'RETRYING')
    UNION ALL
    SELECT d.batch_id
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.recipient = %(recipient)s AND d.state = 'WAITING'
) unsent
JOIN pgsupervise_event e ON e.batch_id = unsent.id
WHERE e.bucket = %(bucket)s AND e.state = 'FOLDED' AND e.read_at IS NULL
