-- How many buckets this supervisor's workers own, how many others own, how many nobody owns, and whether the leading
-- keeper (the seat numbered -1) is this supervisor's.
SELECT
    count(*) FILTER (WHERE l.bucket >= 0 AND w.supervisor = %(supervisor)s) AS ours,
    count(*) FILTER (
        WHERE l.bucket >= 0 AND l.owner_id IS NOT NULL AND w.supervisor IS DISTINCT FROM %(supervisor)s
    ) AS others,
    count(*) FILTER (WHERE l.bucket >= 0 AND l.owner_id IS NULL) AS unowned,
    count(*) FILTER (WHERE l.bucket = -1 AND w.supervisor = %(supervisor)s) > 0 AS leads
FROM pgsupervise_lease l
LEFT JOIN pgsupervise_worker w ON w.id = l.owner_id
