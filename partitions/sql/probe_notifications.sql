-- Which of the worker's buckets have events to fold, batches to seal, or deliveries to send, behind the owner's marks, and
-- in which a delivery's time has come: of those that wait the first one alone is looked at.
-- Each look is LATERAL with a LIMIT: an EXISTS in the select list may be answered by hashing the whole table. Where all
-- channels of a kind are paused, what is to go by them is not walked over. The OFFSET makes the look at the lease one by
-- its key: else all marks are gone through for each lease, which takes five times as long as all the looks together.
SELECT probe.bucket, probe.pending, probe.due, probe.safe, probe.unsafe, probe.ripe
FROM (
    SELECT l.bucket, e.found IS NOT NULL AS pending, b.found IS NOT NULL AS due, safe.found IS NOT NULL AS safe,
        unsafe.found IS NOT NULL AS unsafe, waiting.found IS NOT NULL OR retrying.found IS NOT NULL AS ripe
    FROM unnest(
            %(buckets)s::int[], %(folded_times)s::timestamptz[], %(folded_ids)s::bigint[],
            %(sealed_times)s::timestamptz[], %(sealed_ids)s::bigint[], %(safe_ids)s::bigint[], %(unsafe_ids)s::bigint[]
        ) AS mark (bucket, folded_time, folded_id, sealed_time, sealed_id, safe_id, unsafe_id)
    CROSS JOIN LATERAL (
        SELECT lease.bucket
        FROM pgsupervise_lease lease
        WHERE lease.bucket = mark.bucket AND lease.owner_id = %(owner)s
        OFFSET 0
    ) l
    LEFT JOIN LATERAL (
        SELECT true AS found
        FROM pgsupervise_event e
        WHERE e.bucket = l.bucket AND e.state = 'PENDING' AND e.policy = ANY(%(policies)s)
            AND (e.occurred_at, e.id) > (mark.folded_time, mark.folded_id)
        ORDER BY e.occurred_at, e.id
        LIMIT 1
    ) e ON true
    LEFT JOIN LATERAL (
        SELECT true AS found
        FROM pgsupervise_batch b
        WHERE b.bucket = l.bucket AND b.state <> 'SEALED' AND b.policy = ANY(%(policies)s)
            AND (b.deliver_at, b.id) > (mark.sealed_time, mark.sealed_id)
            AND b.deliver_at <= (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock)
        ORDER BY b.deliver_at, b.id
        LIMIT 1
    ) b ON true
    LEFT JOIN LATERAL (
        SELECT true AS found
        FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'PENDING' AND cardinality(%(safe)s::text[]) > 0
            AND d.channel = ANY(%(safe)s) AND d.id > mark.safe_id
            AND d.not_before <= (SELECT greatest(simulated_at, now()) FROM pgsupervise_clock)
        ORDER BY d.id
        LIMIT 1
    ) safe ON true
    LEFT JOIN LATERAL (
        SELECT true AS found
        FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'PENDING' AND cardinality(%(unsafe)s::text[]) > 0
            AND d.channel = ANY(%(unsafe)s) AND d.id > mark.unsafe_id
            AND d.not_before <= (SELECT greatest(simulated_at, now()) FROM pgsupervise_clock)
        ORDER BY d.id
        LIMIT 1
    ) unsafe ON true
    LEFT JOIN LATERAL (
        SELECT true AS found
        FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'WAITING'
            AND d.not_before <= (SELECT coalesce(simulated_at, now()) FROM pgsupervise_clock)
        ORDER BY d.not_before
        LIMIT 1
    ) waiting ON true
    LEFT JOIN LATERAL (
        SELECT true AS found
        FROM pgsupervise_delivery d
        WHERE d.bucket = l.bucket AND d.state = 'RETRYING' AND d.not_before <= now()
        ORDER BY d.not_before
        LIMIT 1
    ) retrying ON true
) probe
WHERE probe.pending OR probe.due OR probe.safe OR probe.unsafe OR probe.ripe
ORDER BY probe.bucket
