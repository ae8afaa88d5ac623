-- Tasks that this process has claimed and that somebody wants to be cancelled.
SELECT id
FROM pgsupervise_task
WHERE claimed_by = %(owner)s AND state = 'IN PROGRESS' AND cancel_requested_at IS NOT NULL
