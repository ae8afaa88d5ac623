"""SIGKILL for workers in the middle of calls, and a trail of what they left behind."""

import signal
import time
from random import Random

from tests.chaos.database import Session
from tests.chaos.processes import living, send
from tests.chaos.sending.evidence import Attempt
from tests.chaos.sending.provider import Provider

# The suite's own database may have what the product must not: a trigger. Only it sees every end of every attempt.
TRAIL = """
CREATE TABLE fire_trail (delivery bigint, attempt int, worker uuid, error text);
CREATE FUNCTION fire_trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fire_trail VALUES (OLD.id, OLD.attempt, OLD.claimed_by, NEW.error);
    RETURN NULL;
END $$;
CREATE TRIGGER fire_trail AFTER UPDATE ON pgsupervise_delivery FOR EACH ROW
    WHEN (OLD.state = 'SENDING' AND NEW.state <> 'SENDING' AND NEW.error = 'its worker ended during the call')
    EXECUTE FUNCTION fire_trail();
"""
LEFT_BEHIND = "SELECT delivery, attempt, worker::text FROM fire_trail"
BUSY = """
SELECT DISTINCT w.id::text, w.pid FROM pgsupervise_delivery d
JOIN pgsupervise_worker w ON w.id = d.claimed_by AND w.state = 'ACTIVE'
WHERE d.state = 'SENDING'
"""
HOLDERS = BUSY + "AND d.id = ANY(%s)"
HANG_SECONDS = 60.0


class Killer:
    """Kills workers of one supervisor, first of all those that wait for an answer which never comes."""

    def __init__(self, session: Session, group: int, provider: Provider, seed: int) -> None:
        self._session, self._group, self._provider = session, group, provider
        self._rand = Random(seed)
        self._kills: dict[str, int] = {}

    @property
    def kills(self) -> int:
        """How many workers were killed."""
        return len(self._kills)

    def kill(self) -> None:
        """Kill a worker that is sending, if there is one."""
        if chosen := self._holders() or self._session.demand(BUSY):
            identity, pid = self._rand.choice(chosen)
            if identity not in self._kills and pid in {process.pid for process in living(self._group)}:
                send(signal.SIGKILL, pid)
                self._kills[identity] = len(self._kills) + 1

    def end_hangs(self) -> None:
        """Kill until nobody waits for an answer that never comes."""
        deadline = time.monotonic() + HANG_SECONDS
        while self._holders() and time.monotonic() < deadline:
            self.kill()
            time.sleep(0.1)

    def killed(self) -> dict[Attempt, int]:
        """Return which attempts were cut off by which of the kills; 0 where the worker died of something else."""
        rows = self._session.demand(LEFT_BEHIND)
        return {Attempt(delivery, attempt): self._kills.get(worker, 0) for delivery, attempt, worker in rows}

    def _holders(self) -> list[tuple[str, int]]:
        waiting = list(self._provider.hanging)
        return [(identity, pid) for identity, pid in self._session.demand(HOLDERS, waiting)] if waiting else []
