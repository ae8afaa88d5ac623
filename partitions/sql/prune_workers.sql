-- Ended processes stay for a while as a record; one that still has claims stays until they are reclaimed.
DELETE FROM pgsupervise_worker w
WHERE w.state IN ('STOPPED', 'DEAD') AND w.ended_at < now() - make_interval(secs => %(keep)s)
    AND NOT EXISTS (SELECT FROM pgsupervise_task t WHERE t.claimed_by = w.id AND t.state = 'IN PROGRESS')
    AND NOT EXISTS (SELECT FROM pgsupervise_delivery d WHERE d.claimed_by = w.id AND d.state = 'SENDING')
