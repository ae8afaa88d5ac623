-- A worker was told to wait. Of several the longest wait counts, and each ends a trial; a pause by hand keeps its reason.
INSERT INTO pgsupervise_channel AS c (name, is_held, paused_until, reason, since, by)
VALUES (%(channel)s, false, now() + make_interval(secs => %(seconds)s), %(reason)s, now(), %(by)s)
ON CONFLICT (name) DO UPDATE
SET paused_until = greatest(c.paused_until, excluded.paused_until), trial_by = NULL, trial_until = NULL,
    reason = CASE WHEN c.is_held THEN c.reason ELSE excluded.reason END,
    by = CASE WHEN c.is_held THEN c.by ELSE excluded.by END,
    since = CASE WHEN c.is_held OR c.paused_until IS NOT NULL THEN c.since ELSE excluded.since END
