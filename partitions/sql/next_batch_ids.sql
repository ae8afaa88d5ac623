-- Ids first: the events name their batch in the same transaction that inserts it.
SELECT nextval(pg_get_serial_sequence('pgsupervise_batch', 'id')) FROM generate_series(1, %(count)s)
