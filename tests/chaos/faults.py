"""Injects what a schedule plans, undoes it when its time is over, and writes down what was done to whom."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from uuid import UUID

import psycopg

from pgsupervise.django_app.embedded import Server
from tests.chaos.cluster import Cluster, Member
from tests.chaos.database import Session
from tests.chaos.evidence import Fault, Kind
from tests.chaos.processes import Living, send
from tests.chaos.proxy import Arm, Direction
from tests.chaos.schedule import Planned
from tests.chaos.watch import Watch

CLAIM = "SET state = 'IN PROGRESS', claim_token"
ARM_SECONDS = 3.0
SHARE = 0.5
CLAIMS = (
    "SELECT w.pid, w.id FROM pgsupervise_task t JOIN pgsupervise_worker w ON w.id = t.claimed_by"
    " WHERE t.state = 'IN PROGRESS' GROUP BY 1, 2"
)
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name NOT LIKE 'chaos %%' AND backend_type = 'client backend'"
    " ORDER BY md5(pid || %s) LIMIT 2) victim"
)
KILLED = {Kind.WORKER_KILL: "worker", Kind.KEEPER_KILL: "keeper", Kind.EXPORTER_KILL: "exporter"}


@dataclass(slots=True)
class _Undo:
    at: float
    do: Callable[[], object]


@dataclass(slots=True)
class Injector:
    """Used by one thread. `injected` has every fault that really befell somebody."""

    cluster: Cluster
    server: Server
    dsn: str
    session: Session
    watch: Watch
    injected: list[Fault] = field(default_factory=list)
    _undo: list[_Undo] = field(default_factory=list)
    _arms: list[tuple[Arm, Kind, str, float]] = field(default_factory=list)
    _restart: threading.Thread | None = None

    def inject(self, planned: Planned) -> bool:
        """Do it; return False where there was nobody to do it to."""
        member = self.cluster.members[planned.member]
        before = len(self.injected)
        match planned.kind:
            case Kind.WORKER_KILL | Kind.KEEPER_KILL | Kind.EXPORTER_KILL:
                self._kill(member, planned)
            case Kind.PARENT_KILL | Kind.GROUP_KILL:
                self._kill_supervisor(member, planned.kind)
            case Kind.WORKER_STOP | Kind.PAIR_STOP | Kind.GROUP_STOP:
                self._stop(member, planned)
            case Kind.HANG_UP | Kind.TERM:
                self._signal(member, planned.kind)
            case Kind.BACKENDS | Kind.DATABASE | Kind.SNAPSHOT:
                self._disturb_database(planned)
            case Kind.RESET | Kind.SHORT_STALL | Kind.LONG_STALL:
                self._disturb_connections(member, planned)
            case Kind.LOST_COMMIT | Kind.LOST_CLAIM:
                arm = member.proxy.drop_next_commit_reply(CLAIM if planned.kind is Kind.LOST_CLAIM else None)
                self._arms.append((arm, planned.kind, member.name, time.monotonic() + ARM_SECONDS))
                return True
        return len(self.injected) > before

    def step(self) -> None:
        """Undo what is over, and see which replies were lost."""
        now = time.monotonic()
        for undo in [undo for undo in self._undo if undo.at <= now]:
            self._undo.remove(undo)
            undo.do()
        for armed in list(self._arms):
            arm, kind, name, until = armed
            if arm.fired.is_set():
                self._note(Fault(kind, name, now, now))
            if arm.fired.is_set() or now > until:
                arm.disarm()
                self._arms.remove(armed)

    def finish(self) -> None:
        """Wait until everything is undone."""
        while self._undo or self._arms:
            self.step()
            self.cluster.keep_running()
            time.sleep(0.02)
        if self._restart is not None:
            self._restart.join()

    def _note(self, fault: Fault) -> None:
        self.injected.append(fault)

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        self._undo.append(_Undo(time.monotonic() + seconds, do))

    def _holding(self) -> dict[int, UUID]:
        return dict(self.session.ask(CLAIMS) or [])

    def _kill(self, member: Member, planned: Planned) -> None:
        kind = KILLED[planned.kind]
        holding = self._holding() if kind == "worker" else {}
        victims = member.children(kind)
        # A worker that holds claims is the better victim: there is something to be lost.
        victims = [victim for victim in victims if victim.pid in holding] or victims
        if not victims:
            return
        victim = victims[int(planned.pick * len(victims))]
        now = time.monotonic()
        if pids := send(signal.SIGKILL, victim.pid):
            self._note(Fault(planned.kind, member.name, now, now, pids))
            if victim.pid in holding:
                self.watch.reclaim_of([holding[victim.pid]], member.name, now, whole=False)

    def _kill_supervisor(self, member: Member, kind: Kind) -> None:
        members = member.now.members()
        parent = member.now.supervised.pid
        if not member.children("worker"):
            return  # it is only just starting, or ending
        now = time.monotonic()
        if kind is Kind.PARENT_KILL:
            if send(signal.SIGKILL, parent):
                # Its children are on their own from now on.
                self._note(Fault(kind, member.name, now, now + self.watch.dead_after))
            return
        holding = self._holding()
        pids = send(signal.SIGKILL, *(process.pid for process in members))
        self._note(Fault(kind, member.name, now, now, pids))
        self.watch.reclaim_of([id_ for pid, id_ in holding.items() if pid in pids], member.name, now, whole=True)

    def _stop(self, member: Member, planned: Planned) -> None:
        victims = self._to_stop(member, planned)
        if not victims:
            return
        now = time.monotonic()
        pids = send(signal.SIGSTOP, *(victim.pid for victim in victims))
        holding = frozenset(id_ for pid, id_ in self._holding().items() if pid in pids)
        fault = Fault(planned.kind, member.name, now, now + planned.lasting, pids, holding=holding)
        self._note(fault)
        parent = member.now.supervised.pid
        self._later(planned.lasting, lambda: self._continue(fault, parent))

    def _to_stop(self, member: Member, planned: Planned) -> Sequence[Living]:
        if any(process.stopped for process in member.now.members()):
            return []  # the last one's time is not over
        if planned.kind is Kind.GROUP_STOP:
            return member.now.members() if member.children("worker") else []
        workers = member.children("worker")
        holding = self._holding()
        workers = [worker for worker in workers if worker.pid in holding] or workers
        chosen = workers[int(planned.pick * len(workers)) :][:1]
        if planned.kind is Kind.PAIR_STOP and chosen:
            return [each for each in member.now.members() if each.pid in (member.now.supervised.pid, chosen[0].pid)]
        return chosen

    def _continue(self, fault: Fault, parent: int) -> None:
        lives = [life for _, life in self.cluster.lives()]
        stopped = {each.pid for life in lives for each in life.members() if each.stopped}
        fault.resumed = fault.pids & stopped
        fault.until = time.monotonic()
        if fault.kind is Kind.PAIR_STOP:
            # The parent would kill the worker at first sight: the worker is to wake up by itself.
            send(signal.SIGCONT, *(fault.resumed - {parent}))
            self._later(0.5, partial(send, signal.SIGCONT, parent))
        else:
            send(signal.SIGCONT, *fault.resumed)

    def _signal(self, member: Member, kind: Kind) -> None:
        if not member.children("worker"):
            return
        now = time.monotonic()
        if send(signal.SIGHUP if kind is Kind.HANG_UP else signal.SIGTERM, member.now.supervised.pid):
            self._note(Fault(kind, member.name, now, now))

    def _disturb_database(self, planned: Planned) -> None:
        now = time.monotonic()
        match planned.kind:
            case Kind.BACKENDS:
                if self.session.ask(TERMINATE, str(planned.pick)):
                    self._note(Fault(planned.kind, "", now, time.monotonic()))
            case Kind.DATABASE if self._restart is None or not self._restart.is_alive():
                fault = Fault(planned.kind, "", now, float("inf"))
                self._note(fault)
                self._restart = threading.Thread(target=self._restart_database, args=(fault,), name="restart")
                self._restart.start()
            case Kind.SNAPSHOT:
                self._hold_snapshot(planned)

    def _restart_database(self, fault: Fault) -> None:
        self.server.restart("immediate")
        fault.until = time.monotonic()

    def _hold_snapshot(self, planned: Planned) -> None:
        with suppress(psycopg.OperationalError):
            connection = psycopg.connect(self.dsn, application_name="chaos snapshot")
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SELECT 1 FROM pgsupervise_task LIMIT 1")
            now = time.monotonic()
            self._note(Fault(planned.kind, "", now, now + planned.lasting))
            self._later(planned.lasting, connection.close)

    def _disturb_connections(self, member: Member, planned: Planned) -> None:
        now = time.monotonic()
        if planned.kind is Kind.RESET:
            whole = planned.pick < SHARE
            reset = member.proxy.reset_all() if whole else member.proxy.reset_some(Random(planned.pick), SHARE)
            if reset:
                self._note(Fault(planned.kind, member.name, now, now))
            return
        ways = (Direction.TO_SERVER, Direction.TO_CLIENT, Direction.BOTH)
        if member.proxy.stall(ways[int(planned.pick * len(ways))], planned.lasting):
            self._note(Fault(planned.kind, member.name, now, now + planned.lasting))
