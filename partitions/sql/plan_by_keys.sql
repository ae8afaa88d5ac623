-- For the rest of the transaction: read rows by the index that is meant for them, in its order, and by nothing else. Left
-- alone, PostgreSQL takes a bucket for small, because it knows only the average one, and reads the largest to its end.
SELECT set_config(name, 'off', true)
FROM unnest(
        ARRAY['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_material', 'enable_sort']
    ) AS setting (name)
