"""The tables as psycopg sees them: buckets, leases, claims, folds, seals and reclaim.

Nothing here knows Django, processes or HTTP. Each statement is a file in `sql/` and has a wrapper of the same name.

    task       SCHEDULED -> READY -> IN PROGRESS -> DONE | DEAD      (retry: IN PROGRESS -> SCHEDULED)
    event      PENDING -> FOLDED
    batch      OPEN -> CLOSED -> SEALED                              (OPEN -> SEALED when its time has come)
    delivery   PENDING -> SENDING -> ACCEPTED | REFUSED | UNKNOWN | SKIPPED    (fallback: STANDBY -> PENDING | SKIPPED)
               WAITING -> PENDING, RETRYING -> PENDING  (too early: SENDING -> WAITING; not sent: SENDING -> RETRYING)
    worker     ACTIVE -> DRAINING -> STOPPED | DEAD

The fencing rule: a write that ends a claim matches (id, state, claim token); a write to batches and deliveries also
matches the epoch of the bucket's lease. A row that does not match belongs to somebody else by now: the write is
dropped and counted, never repeated.
"""
