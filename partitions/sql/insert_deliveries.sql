-- In the order of the batches, so that a recipient's digests have ids in the order in which they are to arrive. Only for
-- batches that this transaction has sealed, which is the one that began at their sealed_at. What needs no call is accepted.
-- A message waits on the event clock for what its recipient wishes; one that waits for nothing is due on either clock.
INSERT INTO pgsupervise_delivery (bucket, batch_id, policy, recipient, tenant, channel, payload, state, finished_at, not_before)
SELECT %(bucket)s, b.id, b.policy, b.recipient, b.tenant, new.channel, new.payload,
    CASE
        WHEN new.is_standby THEN 'STANDBY'
        WHEN new.channel = ANY(%(without_call)s::text[]) THEN 'ACCEPTED'
        WHEN new.not_before IS NULL THEN 'PENDING'
        ELSE 'WAITING'
    END,
    CASE WHEN new.channel = ANY(%(without_call)s::text[]) AND NOT new.is_standby THEN now() END,
    coalesce(new.not_before, (SELECT least(simulated_at, now()) FROM pgsupervise_clock), now())
FROM unnest(
        %(batch_ids)s::bigint[], %(channels)s::text[], %(payloads)s::jsonb[], %(not_before)s::timestamptz[],
        %(standbys)s::boolean[]
    ) WITH ORDINALITY AS new (batch_id, channel, payload, not_before, is_standby, position)
JOIN pgsupervise_batch b ON b.id = new.batch_id
WHERE b.bucket = %(bucket)s AND b.state = 'SEALED' AND b.sealed_at = now()
ORDER BY new.position
