-- Lock what is still ours and what nobody else holds locked: a worker must not wait for a cancel() that is not committed
-- yet. The locks hold until the end of the transaction, but not for ever where the process is stopped in the middle of
-- it: then the server ends the session.
SELECT t.id, t.ctid
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS ended (id, token)
JOIN pgsupervise_task t ON t.id = ended.id
WHERE t.bucket = %(bucket)s AND t.claimed_by IS NOT NULL AND t.claim_token = ended.token
    AND (SELECT set_config('idle_in_transaction_session_timeout', '3s', true)) IS NOT NULL
FOR UPDATE OF t SKIP LOCKED
