-- Which of these processes are not known to have ended.
SELECT id
FROM pgsupervise_worker
WHERE id = ANY(%(ids)s) AND state IN ('ACTIVE', 'DRAINING')
