-- Asked when the batches' rows are ours: who takes an event out holds its batch's row until the commit, so nobody can any
-- more. Where somebody has since the batches were read, the division fails the transaction: the messages would tell it.
SELECT 1 / (count(*) = 0)::int AS nothing_is_gone
FROM pgsupervise_event e
WHERE e.bucket = %(bucket)s AND e.batch_id = ANY(%(ids)s::bigint[]) AND e.state IN ('RETRACTED', 'FILTERED')
    AND e.id = ANY(%(item_ids)s::bigint[])
