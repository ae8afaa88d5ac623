-- The next channel of sealed batches takes over where every one before it has refused, and is not needed where one has
-- accepted, or the recipient wants none. Whatever is open or of unknown fate may still arrive: then all wait.
-- The "|| ''" hides the state from the partial indexes: the unique index on the batch finds its few rows at once.
WITH decided AS MATERIALIZED (
    SELECT d.batch_id, min(d.id) FILTER (WHERE d.state = 'STANDBY') AS next_id,
        bool_or(d.state = 'ACCEPTED') AS is_accepted, bool_or(d.state = 'REFUSED') AS is_refused
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.batch_id = ANY(%(batch_ids)s::bigint[])
    GROUP BY d.batch_id
    HAVING bool_and(d.state IN ('ACCEPTED', 'REFUSED', 'SKIPPED', 'STANDBY'))
)
UPDATE pgsupervise_delivery d
SET state = CASE WHEN decided.is_refused AND NOT decided.is_accepted THEN 'PENDING' ELSE 'SKIPPED' END,
    error = CASE
        WHEN decided.is_accepted THEN %(not_needed)s
        WHEN decided.is_refused THEN ''
        ELSE 'skipped with the channels before it'
    END,
    finished_at = CASE WHEN decided.is_refused AND NOT decided.is_accepted THEN NULL ELSE now() END
FROM decided
WHERE d.bucket = %(bucket)s AND d.batch_id = decided.batch_id AND d.state || '' = 'STANDBY'
    AND (d.id = decided.next_id OR decided.is_accepted OR NOT decided.is_refused)
    AND EXISTS (
        SELECT FROM pgsupervise_lease l
        WHERE l.bucket = %(bucket)s AND l.owner_id = %(owner)s AND l.epoch = %(epoch)s
    )
RETURNING d.id, d.state
