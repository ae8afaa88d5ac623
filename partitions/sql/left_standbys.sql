-- A page of what waits for another channel's refusal, of the owner's buckets, and whether its batch has nothing open any
-- more: that is so where somebody has decided by hand about a message of unknown fate.
SELECT page.id, page.bucket, l.epoch, page.batch_id,
    NOT EXISTS (
        SELECT FROM pgsupervise_delivery d
        WHERE d.bucket = page.bucket AND d.batch_id = page.batch_id
            AND d.state || '' NOT IN ('ACCEPTED', 'REFUSED', 'SKIPPED', 'STANDBY')
        OFFSET 0
    ) AS is_left
FROM (
    SELECT d.id, d.bucket, d.batch_id
    FROM pgsupervise_delivery d
    WHERE d.state = 'STANDBY' AND d.id > %(after)s
    ORDER BY d.id
    LIMIT %(limit)s
) page
JOIN pgsupervise_lease l ON l.bucket = page.bucket AND l.owner_id = %(owner)s
ORDER BY page.id
