-- What recipients wish, at every level at which they have said something. Where nobody in the bucket wishes anything they
-- are not looked for one by one.
SELECT p.recipient, p.tenant, p.policy, p.category, p.muted, p.channels::text, p."window"::text
FROM unnest(%(recipients)s::text[]) AS wanted (recipient)
JOIN pgsupervise_preference p ON p.recipient = wanted.recipient
WHERE p.bucket = %(bucket)s AND EXISTS (SELECT FROM pgsupervise_preference any_one WHERE any_one.bucket = %(bucket)s)
