-- The message was answered as in good times: everything goes again, unless the channel was paused anew meanwhile.
UPDATE pgsupervise_channel
SET paused_until = NULL, reason = '', since = now(), by = %(by)s, trial_by = NULL, trial_until = NULL
WHERE name = %(channel)s AND trial_by = %(owner)s AND NOT is_held
