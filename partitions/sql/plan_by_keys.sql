-- Read rows by the index that is meant for them, in its order, and by nothing else: for the rest of the transaction, or of
-- the session. Left alone, PostgreSQL takes a bucket for small, because it knows only the average one, and reads the
-- largest to its end; it keeps the plan that was best while a table was nearly empty; and where it looks at the values of
-- a large chunk it would rather read a whole index once, since it has never seen a task in progress.
-- Until PostgreSQL 18 what is off adds so much to the costs of plans that cannot do without it that each would be compiled.
SELECT set_config(setting.name, setting.value, %(local)s)
FROM (
    VALUES
        ('plan_cache_mode', 'force_generic_plan'),
        ('enable_seqscan', 'off'),
        ('enable_bitmapscan', 'off'),
        ('enable_hashjoin', 'off'),
        ('enable_mergejoin', 'off'),
        ('enable_material', 'off'),
        ('enable_sort', 'off'),
        ('jit', 'off')
) AS setting (name, value)
