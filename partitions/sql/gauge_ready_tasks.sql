-- READY tasks of each bucket, counted up to a cap, and how long the oldest has waited. The oldest is looked for among
-- the next to be claimed and among the least urgent: no index follows age, and whoever starves is one of the two.
SELECT l.bucket, counted.amount, extract(epoch FROM now() - oldest.run_at)::float8 AS age_seconds
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT count(*) AS amount
    FROM (
        SELECT FROM pgsupervise_task t
        WHERE t.bucket = l.bucket AND t.state = 'READY'
        ORDER BY t.priority, t.id
        LIMIT %(cap)s
    ) capped
) counted
CROSS JOIN LATERAL (
    SELECT min(head.run_at) AS run_at
    FROM (
        (
            SELECT t.run_at FROM pgsupervise_task t
            WHERE t.bucket = l.bucket AND t.state = 'READY'
            ORDER BY t.priority, t.id
            LIMIT 32
        )
        UNION ALL
        (
            SELECT t.run_at FROM pgsupervise_task t
            WHERE t.bucket = l.bucket AND t.state = 'READY' AND t.priority = (
                SELECT least_urgent.priority FROM pgsupervise_task least_urgent
                WHERE least_urgent.bucket = l.bucket AND least_urgent.state = 'READY'
                ORDER BY least_urgent.priority DESC, least_urgent.id DESC
                LIMIT 1
            )
            ORDER BY t.priority, t.id
            LIMIT 32
        )
    ) head
) oldest
WHERE l.bucket >= 0 AND counted.amount > 0
