-- Every way in which the rows can contradict each other, with some of the ids. One statement, so that it sees one moment.
SELECT what, count(*), (array_agg(id ORDER BY id))[1:10]
FROM (
    SELECT 'an event that is folded into no batch', e.id
    FROM pgsupervise_event e
    WHERE e.state = 'FOLDED'
        AND NOT EXISTS (SELECT FROM pgsupervise_batch b WHERE b.bucket = e.bucket AND b.id = e.batch_id)
    UNION ALL
    SELECT 'an event in a batch of another recipient or tenant', e.id
    FROM pgsupervise_event e
    JOIN pgsupervise_batch b ON b.bucket = e.bucket AND b.id = e.batch_id
    WHERE b.recipient <> e.recipient OR b.tenant <> e.tenant
    UNION ALL
    SELECT 'an event that is filtered without a reason', e.id
    FROM pgsupervise_event e
    WHERE e.state = 'FILTERED' AND e.reason = ''
    UNION ALL
    SELECT 'an event that occurred behind the end of its open batch', e.id
    FROM pgsupervise_batch b
    JOIN pgsupervise_event e ON e.bucket = b.bucket AND e.batch_id = b.id
    WHERE b.state = 'OPEN' AND e.state = 'FOLDED' AND e.occurred_at >= b.closes_at
        AND b.closes_at > b.opened_at -- else it closes at once, with the event that has opened it
    UNION ALL
    SELECT 'one of several open batches of one key', several.id
    FROM (
        SELECT b.id, count(*) OVER (PARTITION BY b.bucket, b.policy, b.recipient, b.tenant, b.key) AS amount
        FROM pgsupervise_batch b
        WHERE b.state = 'OPEN'
    ) several
    WHERE several.amount > 1
    UNION ALL
    SELECT 'a batch that does not count its events', b.id
    FROM pgsupervise_batch b
    LEFT JOIN (
        SELECT e.bucket, e.batch_id, count(*) AS amount
        FROM pgsupervise_event e
        WHERE e.batch_id IS NOT NULL
        GROUP BY e.bucket, e.batch_id
    ) events ON events.bucket = b.bucket AND events.batch_id = b.id
    WHERE b.item_count <> coalesce(events.amount, 0)
    UNION ALL
    SELECT 'a sealed batch with events, and neither a delivery nor a reason', b.id
    FROM pgsupervise_batch b
    WHERE b.state = 'SEALED' AND b.reason = ''
        AND NOT EXISTS (SELECT FROM pgsupervise_delivery d WHERE d.bucket = b.bucket AND d.batch_id = b.id)
        AND EXISTS (
            SELECT FROM pgsupervise_event e WHERE e.bucket = b.bucket AND e.batch_id = b.id AND e.state = 'FOLDED'
        )
    UNION ALL
    SELECT 'a delivery of a batch that is not sealed, or not there', d.id
    FROM pgsupervise_delivery d
    LEFT JOIN pgsupervise_batch b ON b.bucket = d.bucket AND b.id = d.batch_id
    WHERE b.state IS DISTINCT FROM 'SEALED'
    UNION ALL
    SELECT 'a delivery whose items are not its batch''s events', d.id
    FROM pgsupervise_delivery d
    LEFT JOIN (
        SELECT e.bucket, e.batch_id, array_agg(e.id ORDER BY e.id) AS ids
        FROM pgsupervise_event e
        WHERE e.state = 'FOLDED'
        GROUP BY e.bucket, e.batch_id
    ) events ON events.bucket = d.bucket AND events.batch_id = d.batch_id
    WHERE jsonb_typeof(d.payload -> 'item_ids') = 'array'
        AND ARRAY(
            SELECT item.id::bigint FROM jsonb_array_elements_text(d.payload -> 'item_ids') AS item (id) ORDER BY 1
        ) <> coalesce(events.ids, '{}')
) AS found (what, id)
GROUP BY what
ORDER BY what
