-- Tasks that are to be cancelled and that nobody holds; locked until they are in the archive.
SELECT id, bucket, name, set_config('idle_in_transaction_session_timeout', '3s', true)
FROM pgsupervise_task
WHERE cancel_requested_at IS NOT NULL AND state IN ('SCHEDULED', 'READY')
ORDER BY id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
