-- As promote_waiting_deliveries.sql, of what is to be tried again: that waits on the real clock.
WITH due AS (
    SELECT d.id
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.state = 'RETRYING' AND d.not_before <= now()
    ORDER BY d.not_before, d.id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE pgsupervise_delivery d
SET state = 'PENDING'
FROM due
WHERE d.bucket = %(bucket)s AND d.id = due.id
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
