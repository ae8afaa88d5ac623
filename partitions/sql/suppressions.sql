-- Which of these addresses get nothing any more, and why.
SELECT s.id, s.kind, s.address, s.reason
FROM unnest(%(kinds)s::text[], %(addresses)s::text[]) AS wanted (kind, address)
JOIN pgsupervise_suppression s ON s.address = wanted.address AND s.kind = wanted.kind
