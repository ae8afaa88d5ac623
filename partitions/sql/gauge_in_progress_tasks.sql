-- Tasks IN PROGRESS by bucket and how long ago the oldest was claimed. Workers hold few, so the cap is for all buckets.
SELECT claimed.bucket, count(*) AS amount, extract(epoch FROM now() - min(claimed.claimed_at))::float8 AS age_seconds
FROM (
    SELECT t.bucket, t.claimed_at FROM pgsupervise_task t
    WHERE t.state = 'IN PROGRESS'
    ORDER BY t.claimed_by
    LIMIT 256 * %(cap)s
) claimed
GROUP BY claimed.bucket
