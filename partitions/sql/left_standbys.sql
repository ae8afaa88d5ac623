-- A page of what waits for another channel's refusal, and whether it is in one of the owner's buckets and its batch has
-- nothing open any more: that is so where somebody has decided by hand about a message of unknown fate. Others' rows are
-- part of the page, or a page that is all theirs would be the last one.
SELECT page.id, page.bucket, l.epoch, page.batch_id,
    l.epoch IS NOT NULL AND NOT EXISTS (
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
LEFT JOIN pgsupervise_lease l ON l.bucket = page.bucket AND l.owner_id = %(owner)s
ORDER BY page.id
