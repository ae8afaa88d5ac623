-- What was told of a bucket's deliveries and is not yet taken note of. Found by state: events commit in any order.
SELECT e.id, e.delivery_id, e.attempt, e.kind, e.occurred_at
FROM pgsupervise_providerevent e
WHERE e.bucket = %(bucket)s AND e.applied_at IS NULL
ORDER BY e.id
LIMIT %(limit)s
