-- What a provider tells of an attempt proves that it had taken it, whatever was thought of it since. One that is on its
-- way stays so: whoever finishes or reclaims it finds the proof. Attempts beyond the first that were taken are
-- duplicates; one of them may be known by the provider's own answer. Of what is told the most telling word stays.
WITH known AS MATERIALIZED (
    SELECT d.id, d.state, d.duplicates, told.status, told.delivered_at,
        ARRAY(SELECT DISTINCT unnest(d.proven_attempts || told.attempts::int[]) ORDER BY 1) AS proven,
        CASE WHEN d.state = 'ACCEPTED' AND d.provider_id <> '' THEN d.attempt END AS answered
    FROM unnest(%(ids)s::bigint[], %(attempts)s::text[], %(statuses)s::text[], %(delivered_at)s::timestamptz[])
        AS told (id, attempts, status, delivered_at)
    JOIN pgsupervise_delivery d ON d.id = told.id
    WHERE d.bucket = %(bucket)s
        AND EXISTS (
            SELECT FROM pgsupervise_lease l
            WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
        )
    FOR NO KEY UPDATE OF d
), counted AS MATERIALIZED (
    SELECT k.id, k.state, k.duplicates, k.status, k.delivered_at, k.proven,
        cardinality(k.proven) - 1 + (k.answered IS NOT NULL AND NOT k.answered = ANY(k.proven))::int AS doubled
    FROM known k
)
UPDATE pgsupervise_delivery d
SET state = CASE WHEN c.state = 'SENDING' THEN 'SENDING' ELSE 'ACCEPTED' END,
    proven_attempts = c.proven, duplicates = c.doubled,
    provider_status = CASE
        WHEN array_position(%(order)s::text[], c.status)
            > coalesce(array_position(%(order)s::text[], d.provider_status::text), 0) THEN c.status
        ELSE d.provider_status
    END,
    delivered_at = least(d.delivered_at, c.delivered_at),
    unknown_until = NULL,
    finished_at = CASE WHEN c.state = 'SENDING' THEN d.finished_at ELSE coalesce(d.finished_at, now()) END,
    error = CASE WHEN c.state IN ('ACCEPTED', 'SENDING') THEN d.error ELSE '' END
FROM counted c
WHERE d.bucket = %(bucket)s AND d.id = c.id
RETURNING d.id, d.policy, c.state AS was, c.doubled - c.duplicates AS new_duplicates
