-- PENDING events of each bucket, counted up to a cap, and how long the oldest has waited to be folded. Waiting counts
-- from the insert, not from when the event occurred: an imported event of last year has not waited for a year.
SELECT l.bucket, counted.amount, extract(epoch FROM now() - oldest.created_at)::float8 AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount
    FROM (
        SELECT FROM pgsupervise_event e
        WHERE e.bucket = l.bucket AND e.state = 'PENDING'
        ORDER BY e.occurred_at, e.id
        LIMIT %(cap)s
    ) capped
) counted
CROSS JOIN LATERAL (
    SELECT min(head.created_at) AS created_at
    FROM (
        SELECT e.created_at FROM pgsupervise_event e
        WHERE e.bucket = l.bucket AND e.state = 'PENDING'
        ORDER BY e.occurred_at, e.id
        LIMIT 64
    ) head
) oldest
WHERE l.bucket >= 0 AND counted.amount > 0
