-- An event as it is now, and as it stays until the transaction ends: who comes while its owner folds it waits for that.
SELECT e.id, e.bucket, e.state, e.batch_id
FROM pgsupervise_event e
WHERE e.id = %(id)s AND NOT e.is_flush
FOR UPDATE
