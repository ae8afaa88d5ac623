-- Old events of providers, a chunk at a time. They stay long enough to know one that is told again.
DELETE FROM pgsupervise_providerevent
WHERE (id, bucket) IN (
    SELECT id, bucket
    FROM pgsupervise_providerevent
    WHERE received_at < now() - make_interval(secs => %(keep)s)
    ORDER BY received_at
    LIMIT %(limit)s
)
