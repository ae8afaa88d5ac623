-- The pause is over: one worker in the whole cluster may send one message. A worker that dies of it loses the right.
UPDATE pgsupervise_channel
SET trial_by = %(owner)s, trial_until = now() + make_interval(secs => %(seconds)s)
WHERE name = %(channel)s AND NOT is_held AND paused_until <= now()
    AND (trial_by IS NULL OR trial_by = %(owner)s OR trial_until <= now())
RETURNING name
