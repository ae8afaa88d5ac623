-- In the order of the batches, so that a recipient's digests have ids in the order in which they are to arrive. Only for
-- batches that this transaction has sealed, which is the one that began at their sealed_at. What needs no call is accepted.
INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, channel, payload, state, finished_at)
SELECT %(bucket)s, b.id, b.policy, b.recipient, new.channel, new.payload,
    CASE WHEN new.channel = ANY(%(without_call)s::text[]) THEN 'ACCEPTED' ELSE 'PENDING' END,
    CASE WHEN new.channel = ANY(%(without_call)s::text[]) THEN now() END
FROM unnest(%(batch_ids)s::bigint[], %(channels)s::text[], %(payloads)s::jsonb[])
    WITH ORDINALITY AS new (batch_id, channel, payload, position)
JOIN pgsupervise_batch b ON b.id = new.batch_id
WHERE b.bucket = %(bucket)s AND b.state = 'SEALED' AND b.sealed_at = now()
ORDER BY new.position
