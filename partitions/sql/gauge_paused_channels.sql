-- The channels that have ever been paused, and whether they are now: a few rows.
SELECT c.name, c.is_held OR c.paused_until IS NOT NULL AS is_paused
FROM pgsupervise_channel c
ORDER BY c.name
LIMIT %(cap)s
