-- See lock_event.sql.
SELECT e.id, e.bucket, e.state, e.batch_id
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.recipient = %(recipient)s AND e.policy = %(policy)s
    AND e.idempotency_key = %(idempotency_key)s AND NOT e.idempotency_key = ''
FOR UPDATE
