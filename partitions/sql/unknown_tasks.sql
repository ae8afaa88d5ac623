-- Ready tasks that this code does not know: left for newer code, but said.
SELECT t.name, count(*)
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT name FROM pgsupervise_task
    WHERE bucket = l.bucket AND state = 'READY' AND NOT name = ANY(%(names)s)
    LIMIT 1000
) t
WHERE l.owner_id = %(owner)s AND l.bucket >= 0
GROUP BY t.name
ORDER BY t.name
LIMIT 20
