-- Processes by kind and state, and how long ago the quietest of each beat.
SELECT kind, state, count(*) AS amount, extract(epoch FROM now() - min(beat_at))::float8 AS age_seconds
FROM pgsupervise_worker
GROUP BY kind, state
