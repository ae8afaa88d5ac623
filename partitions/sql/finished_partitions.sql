-- The archive's day partitions, and today by the database's clock.
SELECT c.relname, (now() AT TIME ZONE 'UTC')::date
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'pgsupervise_finishedtask'::regclass
