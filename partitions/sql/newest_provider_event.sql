-- How far the webhook is known to have told what happened: the latest time by the provider's clock among what came last.
SELECT max(least(latest.occurred_at, latest.received_at)) AS told_until
FROM (
    SELECT e.occurred_at, e.received_at
    FROM pgsupervise_providerevent e
    ORDER BY e.received_at DESC
    LIMIT %(limit)s
) latest
