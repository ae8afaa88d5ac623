-- The second half of cancelling, in the same transaction.
DELETE FROM pgsupervise_task t
WHERE t.bucket = %(bucket)s AND t.id = ANY(%(ids)s) AND t.state IN ('SCHEDULED', 'READY')
    AND t.cancel_requested_at IS NOT NULL
RETURNING t.id
