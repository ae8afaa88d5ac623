"""One replay from its first event to its audit. Needs Django set up with the replay's settings."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.core.management import call_command

from .arrivals import arrived, stored_events, undelivered
from .audit import Findings, audit
from .chaos import Killer
from .feeding import feed, stop_clock_before
from .left import Left, left, unowned
from .options import Options
from .processes import SupervisorProcess, supervising
from .progress import Show, progress
from .reader import FileEvent
from .stalling import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a replay has to say."""

    findings: Findings
    undelivered: int
    seconds: float
    kills: int | None
    """None where none were asked for."""

    @property
    def is_flawless(self) -> bool:
        """Whether every event arrived once and in order."""
        found = self.findings
        return not (found.lost or found.duplicated or found.out_of_order or self.undelivered)

    def summary(self) -> dict[str, int | float | str]:
        """Return the numbers by their names, in the order in which they are shown."""
        kills = {} if self.kills is None else {"kills": self.kills}
        return {
            **asdict(self.findings),
            "undelivered": self.undelivered,
            **kills,
            "seconds": round(self.seconds, 1),
            "events_per_second": round(self.findings.events / self.seconds),
        }


def replay(events: Sequence[FileEvent], options: Options, environment: dict[str, str]) -> Result:
    """Deliver the events through a supervisor of its own. Raises Stalled when it does not get through."""
    call_command("migrate", verbosity=0)
    stop_clock_before(events[0].at)
    with progress(len(events)) as show, supervising(options.partitions, environment) as supervisor:
        Watch(supervisor).wait(unowned)  # else the time that booting takes would be part of what is measured
        killer = Killer(supervisor.pid, options.kill_every)
        began = time.monotonic()
        _deliver(events, options, supervisor, killer, show)
        seconds = time.monotonic() - began
    # After the supervisor's end: nothing can arrive any more that the audit would not see.
    policy = options.policy
    findings = audit(events, stored_events(), arrived(policy.channel), by_object=policy.key == "object")
    kills = killer.kills if options.kill_every else None
    return Result(findings=findings, undelivered=undelivered(), seconds=seconds, kills=kills)


def _deliver(
    events: Sequence[FileEvent], options: Options, supervisor: SupervisorProcess, killer: Killer, show: Show
) -> None:
    watch = Watch(supervisor)

    def fed(inserted: int) -> None:
        killer.step()
        show(inserted, left())

    def look() -> Left:
        killer.step()
        now = left()
        show(len(events), now)
        return now

    feed(events, chunk=options.chunk, longest=options.policy.longest, fed=fed)
    watch.wait(look)
