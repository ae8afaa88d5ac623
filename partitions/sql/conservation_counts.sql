-- Where every event is: what its row says, and for a folded one what its batch's does. What asks for a flush is no event.
SELECT
    CASE
        WHEN e.state <> 'FOLDED' THEN e.state
        WHEN b.state IN ('OPEN', 'CLOSED') THEN 'OPEN'
        ELSE coalesce(b.state, 'LOST')
    END AS place,
    CASE WHEN e.state = 'FILTERED' THEN e.reason ELSE '' END AS reason,
    count(*)
FROM pgsupervise_event e
LEFT JOIN pgsupervise_batch b ON b.bucket = e.bucket AND b.id = e.batch_id
WHERE NOT e.is_flush
GROUP BY place, 2
ORDER BY place, 2
