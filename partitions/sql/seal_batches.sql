-- From here on the batch's content is the deliveries' payload and nothing else. The lease is asked for once more, since
-- this is sent together with hold_lease and without waiting for what that finds.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_batch b
SET state = 'SEALED', sealed_at = now(), error = '', reason = due.reason
FROM unnest(%(ids)s::bigint[], %(reasons)s::text[]) AS due (id, reason)
WHERE b.bucket = %(bucket)s AND b.id = due.id AND b.state || '' <> 'SEALED'
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
RETURNING b.id
