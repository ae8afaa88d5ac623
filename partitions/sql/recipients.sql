-- What is stored about recipients; where nothing is about any in the bucket they are not looked for one by one. The JSON as
-- text: what Python cannot decode must not fail the others.
SELECT r.recipient, r.time_zone, r.locale, r.quiet_from, r.quiet_until, r.properties::text
FROM unnest(%(recipients)s::text[]) AS wanted (recipient)
JOIN pgsupervise_recipient r ON r.recipient = wanted.recipient
WHERE r.bucket = %(bucket)s AND EXISTS (SELECT FROM pgsupervise_recipient any_one WHERE any_one.bucket = %(bucket)s)
