-- The items of batches, each batch's in order. Rows, not one aggregate a batch: that has a limit (256 MB for jsonb,
-- 1 GB for text) beyond which the statement fails for all. The data as text, so that what Python cannot decode fails
-- its own batch only.
SELECT e.batch_id, e.id, e.occurred_at, e.policy, e.actor, e.object, e.data::text
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.batch_id = ANY(%(ids)s) AND e.state = 'FOLDED'
ORDER BY e.batch_id, e.occurred_at, e.id
