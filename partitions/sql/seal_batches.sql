-- From here on the batch's content is the deliveries' payload and nothing else. The lease is asked for once more, since
-- this is sent together with hold_lease and without waiting for what that finds.
UPDATE pgsupervise_batch
SET state = 'SEALED', sealed_at = now(), error = ''
WHERE bucket = %(bucket)s AND id = ANY(%(ids)s::bigint[]) AND state <> 'SEALED'
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
RETURNING id
