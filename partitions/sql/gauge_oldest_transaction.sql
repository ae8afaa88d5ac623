-- The transaction that has been open longest in this database, and whose it is. Other users' are seen only with
-- pg_read_all_stats. Long numbers in a name (a pid, a time) are cut out: as a label they would never end.
SELECT
    left(regexp_replace(coalesce(nullif(application_name, ''), 'unnamed ' || backend_type), '\d{4,}', '#', 'g'), 40)
        AS holder,
    extract(epoch FROM now() - xact_start)::float8 AS age_seconds
FROM pg_stat_activity
WHERE xact_start IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type <> 'autovacuum worker'
ORDER BY xact_start
LIMIT 1
