-- Rules for the rest of the transaction: give up in time, write nothing, and never read a whole table, whatever the
-- planner's statistics say about a queue that was empty a minute ago (a bitmap is built in full before its first row).
SELECT
    set_config('transaction_read_only', 'on', true),
    set_config('statement_timeout', %(timeout_ms)s::text, true),
    set_config('enable_seqscan', 'off', true),
    set_config('enable_bitmapscan', 'off', true),
    set_config('enable_sort', 'off', true),
    set_config('max_parallel_workers_per_gather', '0', true),
    set_config('jit', 'off', true)
