-- WAITING is a state of its own, so that nothing walks over what is not to be sent yet; what recipients wish holds by the
-- event clock.
WITH due AS (
    SELECT d.id
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.state = 'WAITING'
        AND d.not_before <= (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock)
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
