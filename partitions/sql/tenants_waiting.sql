-- Which of the worker's buckets have deliveries of tenants to send. Where nobody has tenants the index is empty.
SELECT l.bucket
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT FROM pgsupervise_delivery d
    WHERE d.bucket = l.bucket AND d.state = 'PENDING' AND d.tenant <> ''
    ORDER BY d.tenant
    LIMIT 1
) any_one
WHERE l.owner_id = %(owner)s
