-- One slice of a run: an event for each of these followers, all that it says copied from the run. A follower who has an
-- event of the run already gets no other.
INSERT INTO pgsupervise_event
    (bucket, policy, recipient, tenant, key, actor, object, data, about_type, about_id, idempotency_key, occurred_at)
SELECT follower.bucket, run.policy, follower.recipient, run.tenant, run.key, run.actor, run.object, run.data,
    run.about_type, run.about_id, %(idempotency_key)s, run.occurred_at
FROM pgsupervise_fanout run
CROSS JOIN unnest(%(buckets)s::smallint[], %(recipients)s::text[]) AS follower (bucket, recipient)
WHERE run.bucket = %(bucket)s AND run.id = %(id)s
ON CONFLICT (bucket, recipient, policy, idempotency_key) WHERE idempotency_key <> '' DO NOTHING
