-- From here on the batch's content is the deliveries' payload and nothing else. The lease is asked for once more, since
-- this is sent together with hold_lease and without waiting for what that finds.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_batch b
SET state = 'SEALED', sealed_at = now(), error = ''
FROM unnest(%(ids)s::bigint[]) AS due (id)
WHERE b.bucket = %(bucket)s AND b.id = due.id AND b.state || '' <> 'SEALED'
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
RETURNING b.id
