-- How often, and how long ago at most an hour, recipients were sent something before or by these deliveries: copies of
-- unknown fate and what is on its way included. A bounded number of each recipient's newest ones is read.
SELECT asked.id, recent.sends - CASE WHEN recent.id = asked.id THEN 1 ELSE 0 END AS sends, recent.seconds_left
FROM unnest(%(ids)s::bigint[], %(recipients)s::text[]) AS asked (id, recipient)
CROSS JOIN LATERAL (
    SELECT d.id, d.copies + CASE WHEN d.state IN ('SENDING', 'ACCEPTED') THEN 1 ELSE 0 END AS sends,
        extract(epoch FROM coalesce(d.finished_at, d.claimed_at, d.not_before) + interval '1 hour' - now())::float8
            AS seconds_left,
        d.channel
    FROM pgsupervise_delivery d
    WHERE d.bucket = %(bucket)s AND d.recipient = asked.recipient AND d.id <= asked.id
    ORDER BY d.id DESC
    LIMIT %(limit)s
) recent
WHERE recent.channel = ANY(%(channels)s) AND recent.seconds_left > 0
