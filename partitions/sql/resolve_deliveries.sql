-- What a person decides about deliveries of unknown fate. One of which the provider has told is left to its owner.
UPDATE pgsupervise_delivery d
SET state = %(state)s::text, error = %(error)s::text, unknown_until = NULL,
    not_before = CASE WHEN %(state)s::text = 'PENDING' THEN now() ELSE d.not_before END,
    finished_at = CASE WHEN %(state)s::text <> 'PENDING' THEN now() END
FROM unnest(%(ids)s::bigint[], %(buckets)s::int[]) AS chosen (id, bucket)
WHERE d.bucket = chosen.bucket AND d.id = chosen.id AND d.state || '' = 'UNKNOWN'
    AND NOT EXISTS (
        SELECT FROM pgsupervise_providerevent e
        WHERE e.bucket = chosen.bucket AND e.delivery_id = chosen.id AND e.applied_at IS NULL
        OFFSET 0
    )
RETURNING d.id
