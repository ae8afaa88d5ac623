-- Who has an idempotency key.
SELECT e.id
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.recipient = %(recipient)s AND e.policy = %(policy)s
    AND e.idempotency_key = %(idempotency_key)s AND NOT (e.idempotency_key = '')
