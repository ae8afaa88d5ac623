-- From here on the batch's content is the deliveries' payload and nothing else.
UPDATE pgsupervise_batch
SET state = 'SEALED', sealed_at = now(), error = ''
WHERE bucket = %(bucket)s AND id = ANY(%(ids)s) AND state <> 'SEALED'
RETURNING id
