-- A process announces itself, once for each boot; again where the reply to its first try was lost.
INSERT INTO pgsupervise_worker
    (id, supervisor, kind, slot, host, pid, partitions, processes, dead_after, state, started_at, beat_at)
VALUES
    (%(id)s, %(supervisor)s, %(kind)s, %(slot)s, %(host)s, %(pid)s, %(partitions)s, %(processes)s,
     %(dead_after)s, 'ACTIVE', now(), now())
ON CONFLICT (id) DO NOTHING
