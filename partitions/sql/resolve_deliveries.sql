-- What a person decides about deliveries of unknown fate. One of which the provider has told since is no longer unknown.
UPDATE pgsupervise_delivery d
SET state = %(state)s::text, error = %(error)s::text, unknown_until = NULL,
    not_before = CASE WHEN %(state)s::text = 'PENDING' THEN now() ELSE d.not_before END,
    finished_at = CASE WHEN %(state)s::text = 'PENDING' THEN NULL ELSE now() END
FROM unnest(%(ids)s::bigint[], %(buckets)s::int[]) AS chosen (id, bucket)
WHERE d.bucket = chosen.bucket AND d.id = chosen.id AND d.state || '' = 'UNKNOWN'
RETURNING d.id
