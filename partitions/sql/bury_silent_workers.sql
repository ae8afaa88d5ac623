-- Processes that nobody has heard of for the time-to-dead. The row lock makes a beat and a burial exclude each other.
UPDATE pgsupervise_worker
SET state = 'DEAD', ended_at = now(), end_reason = 'silence'
WHERE state IN ('ACTIVE', 'DRAINING') AND beat_at < now() - make_interval(secs => %(dead_after)s)
RETURNING id
