-- The channels that have ever been paused, and for how long they are: read about once a second by each supervisor.
SELECT c.name, c.is_held, c.paused_until IS NOT NULL AS is_paused,
    coalesce(extract(epoch FROM c.paused_until - now()), 0)::float8 AS seconds,
    coalesce(extract(epoch FROM c.trial_until - now()), 0)::float8 AS trial_seconds
FROM pgsupervise_channel c
ORDER BY c.name
