-- Old rows of the archive that found no partition of their day: they are dropped with none, so they are deleted, a
-- chunk at a time.
DELETE FROM pgsupervise_finishedtask_default
WHERE (id, bucket, finished_at) IN (
    SELECT id, bucket, finished_at
    FROM pgsupervise_finishedtask_default
    WHERE finished_at < now() - make_interval(secs => %(keep)s)
    LIMIT %(limit)s
)
