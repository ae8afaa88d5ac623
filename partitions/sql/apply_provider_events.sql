-- Taken note of, by the owner alone.
UPDATE pgsupervise_providerevent e
SET applied_at = now()
FROM unnest(%(ids)s::bigint[]) AS told (id)
WHERE e.bucket = %(bucket)s AND e.id = told.id
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
