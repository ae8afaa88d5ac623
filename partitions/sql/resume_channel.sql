-- By hand: everything goes again, without a trial.
UPDATE pgsupervise_channel
SET is_held = false, paused_until = NULL, reason = '', since = now(), by = %(by)s, trial_by = NULL, trial_until = NULL
WHERE name = %(channel)s AND (is_held OR paused_until IS NOT NULL)
RETURNING name
