-- A batch whose template failed waits for a mended one and stops nobody else.
-- The "|| ''" hides the state from the partial indexes: the primary key finds a row at once, they only the whole bucket.
UPDATE pgsupervise_batch b
SET error = failed.error, deliver_at = %(until)s
FROM unnest(%(ids)s::bigint[], %(errors)s::text[]) AS failed (id, error)
WHERE b.bucket = %(bucket)s AND b.id = failed.id AND b.state || '' <> 'SEALED'
