-- There was no message to send: the next worker that has one may.
UPDATE pgsupervise_channel
SET trial_by = NULL, trial_until = NULL
WHERE name = %(channel)s AND trial_by = %(owner)s
