-- Of those that were seen silent, the ones that still have not beaten. The row lock makes a beat and a burial exclude
-- each other; a row that somebody holds locked is left for later.
WITH silent AS MATERIALIZED (
    SELECT w.id
    FROM pgsupervise_worker w
    JOIN unnest(%(ids)s::uuid[], %(beats)s::timestamptz[]) AS seen (id, beat_at) ON w.id = seen.id
    WHERE w.beat_at = seen.beat_at AND w.state IN ('ACTIVE', 'DRAINING')
        AND w.beat_at < now() - make_interval(secs => w.dead_after)
    ORDER BY w.id
    FOR UPDATE OF w SKIP LOCKED
)
UPDATE pgsupervise_worker w
SET state = 'DEAD', ended_at = now(), end_reason = 'silence'
FROM silent
WHERE w.id = silent.id
RETURNING w.id
