-- In the order of the batches, so that a recipient's digests have ids in the order in which they are to arrive.
INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, channel, payload)
SELECT %(bucket)s, new.batch_id, new.policy, new.recipient, new.channel, new.payload
FROM unnest(
        %(batch_ids)s::bigint[], %(policies)s::text[], %(recipients)s::text[], %(channels)s::text[], %(payloads)s::jsonb[]
    ) WITH ORDINALITY AS new (batch_id, policy, recipient, channel, payload, position)
ORDER BY new.position
