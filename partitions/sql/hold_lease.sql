-- The fence of writes to batches and deliveries: the share lock keeps a take-over waiting until we commit.
SELECT 1
FROM pgsupervise_lease
WHERE bucket = %(bucket)s AND owner_id = %(owner)s AND epoch = %(epoch)s
FOR SHARE
