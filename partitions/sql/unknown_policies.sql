-- Events of policies that this code does not know: left for newer code, but said.
SELECT e.policy, count(*)
FROM pgsupervise_lease l
CROSS JOIN LATERAL (
    SELECT policy FROM pgsupervise_event
    WHERE bucket = l.bucket AND state = 'PENDING' AND NOT policy = ANY(%(policies)s)
    LIMIT 1000
) e
WHERE l.owner_id = %(owner)s AND l.bucket >= 0
GROUP BY e.policy
ORDER BY e.policy
LIMIT 20
