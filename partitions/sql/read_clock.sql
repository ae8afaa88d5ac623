-- The event clock: the database's own, unless a replay or a test has set it.
SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock
