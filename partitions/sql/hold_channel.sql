-- A pause by hand: it lasts until somebody resumes the channel.
INSERT INTO pgsupervise_channel AS c (name, is_held, reason, since, by)
VALUES (%(channel)s, true, %(reason)s, now(), %(by)s)
ON CONFLICT (name) DO UPDATE
SET is_held = true, reason = excluded.reason, by = excluded.by, since = excluded.since,
    trial_by = NULL, trial_until = NULL
