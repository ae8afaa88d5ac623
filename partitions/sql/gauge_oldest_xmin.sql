-- What keeps vacuum from removing finished tasks: the oldest snapshot or transaction id that somebody still holds, in
-- transactions, and who. Sessions, prepared transactions and replication slots hold one alike.
SELECT
    left(regexp_replace(held.holder, '\d{4,}', '#', 'g'), 40) AS holder,
    held.age
FROM (
    SELECT
        coalesce(nullif(application_name, ''), 'unnamed ' || backend_type) AS holder,
        greatest(age(backend_xmin), age(backend_xid)) AS age
    FROM pg_stat_activity
    WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid()
        AND backend_type <> 'autovacuum worker'
    UNION ALL
    SELECT 'prepared transaction', age(transaction) FROM pg_prepared_xacts WHERE database = current_database()
    UNION ALL
    SELECT 'replication slot', age(xmin) FROM pg_replication_slots
) held
WHERE held.age IS NOT NULL
ORDER BY held.age DESC
LIMIT 1
