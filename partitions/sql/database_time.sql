-- The database's clock, for a later statement that is to know what came before it.
SELECT now()
