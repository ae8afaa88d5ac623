-- How many DEAD tasks the archive holds, counted up to a cap by the partial index of its day partitions.
SELECT count(*) AS amount
FROM (
    SELECT FROM pgsupervise_finishedtask
    WHERE state = 'DEAD'
    ORDER BY id
    LIMIT %(cap)s
) capped
