-- Ready tasks that this code does not know: left for newer code, but said. They stay in front while the others go, so the
-- first ones of each bucket are enough to see them.
SELECT t.name, count(*)
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT name FROM pgsupervise_task
    WHERE bucket = l.bucket AND state = 'READY'
    ORDER BY priority, id
    LIMIT 1000
) t
WHERE l.owner_id = %(owner)s AND l.bucket >= 0 AND NOT t.name = ANY(%(names)s)
GROUP BY t.name
ORDER BY t.name
LIMIT 20
