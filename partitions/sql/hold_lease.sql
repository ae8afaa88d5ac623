-- The fence of writes to batches and deliveries: the share lock keeps a take-over waiting until we commit. A process that
-- is stopped, or cut off, in the middle of its transaction must not keep it waiting for ever: the server ends the session.
-- Callers may hold events and batches locked for as long as their transactions are open: the owner does not wait for them.
SELECT set_config('idle_in_transaction_session_timeout', '3s', true), set_config('lock_timeout', '50ms', true)
FROM pgsupervise_lease
WHERE bucket = %(bucket)s AND owner_id = %(owner)s AND epoch = %(epoch)s
FOR SHARE
