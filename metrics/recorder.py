"""What callers say happened: plain functions, one for each thing that is counted."""

from collections.abc import Sequence

from pgsupervise.partitions.states import Reason

from .instruments import Cause, Claim, Held, HowSettled, LeaseChange, SendEnd, TaskEnd, Unusable, Write, current


def task_finished(name: str, outcome: TaskEnd, seconds: float) -> None:
    """Count a run by how it ended and how long it took."""
    tasks_finished(name, outcome, (seconds,))


def tasks_finished(name: str, outcome: TaskEnd, durations: Sequence[float]) -> None:
    """Count the runs of one task in a chunk that ended alike: cheaper than one by one."""
    made = current()
    made.child(made.tasks_finished, name, outcome).inc(len(durations))
    made.child(made.task_duration, name).observe_many(durations)


def tasks_given_back(name: str, amount: int = 1) -> None:
    """Count claimed tasks that were not started and went back to the table."""
    made = current()
    made.child(made.tasks_finished, name, "given_back").inc(amount)


def tasks_ended(name: str, outcome: str, amount: int = 1) -> None:
    """Count runs that did not end by themselves: timed_out (and tried again), dead, cancelled."""
    made = current()
    made.child(made.tasks_finished, name, outcome).inc(amount)


def tasks_claimed(amount: int) -> None:
    """Count tasks that were claimed."""
    current().tasks_claimed.inc(amount)


def tasks_unknown(amount: int) -> None:
    """Count tasks left alone because no code of this name is registered here."""
    current().tasks_unknown.inc(amount)


def events_folded(policy: str, amount: int) -> None:
    """Count events that found their batch."""
    made = current()
    made.child(made.events_folded, policy).inc(amount)


def window_fell_back(policy: str, reason: Unusable) -> None:
    """Count a batch whose window is the fallback: a value, a time zone or a wish was missing or bad."""
    made = current()
    made.child(made.window_fallbacks, policy, reason).inc()


def batches_sealed(policy: str, items: Sequence[int]) -> None:
    """Count batches of a policy that were sealed with a message, by how many items each has."""
    made = current()
    made.child(made.batches_sealed, policy).inc(len(items))
    made.digest_items.observe_many(items)


def batches_withheld(policy: str, reason: Reason, amount: int) -> None:
    """Count batches of a policy that were sealed without a message."""
    made = current()
    made.child(made.batches_withheld, policy, reason).inc(amount)


def events_left_out(policy: str, reason: Reason, amount: int) -> None:
    """Count events of a policy that a fold or a seal has put into no message."""
    made = current()
    made.child(made.events_left_out, policy, reason).inc(amount)


def render_failed(policy: str) -> None:
    """Count a batch that could not be rendered."""
    made = current()
    made.child(made.render_failures, policy).inc()


def delivery_finished(channel: str, outcome: SendEnd, seconds: float) -> None:
    """Count a sending attempt by what is known about it."""
    made = current()
    made.child(made.deliveries_finished, channel, outcome).inc()
    made.child(made.delivery_duration, channel).observe(seconds)


def deliveries_accepted(channel: str, amount: int) -> None:
    """Count deliveries that needed no call."""
    made = current()
    made.child(made.deliveries_finished, channel, "accepted").inc(amount)


def deliveries_skipped(channel: str, amount: int) -> None:
    """Count deliveries that were not sent, for what their recipients did or wished since the seal."""
    made = current()
    made.child(made.deliveries_finished, channel, "skipped").inc(amount)


def provider_events(kind: str, amount: int) -> None:
    """Count events of providers of which their deliveries' owners have taken note."""
    made = current()
    made.child(made.provider_events, kind).inc(amount)


def unknown_settled(policy: str, how: HowSettled) -> None:
    """Count a delivery of unknown fate that the provider told of, or that goes again, or is held for a person."""
    made = current()
    made.child(made.unknown_settled, policy, how).inc()


def duplicates(policy: str, amount: int) -> None:
    """Count messages that went out although another attempt of the same delivery had."""
    made = current()
    made.child(made.duplicates, policy).inc(amount)


def deliveries_refused(channel: str, amount: int) -> None:
    """Count deliveries that were refused without a call: their addresses are none."""
    made = current()
    made.child(made.deliveries_finished, channel, "refused").inc(amount)


def deliveries_resent(channel: str, amount: int = 1) -> None:
    """Count messages that are sent again though an earlier call may have brought them out."""
    made = current()
    made.child(made.deliveries_resent, channel).inc(amount)


def deliveries_held(channel: str, reason: Held, amount: int = 1) -> None:
    """Count messages that the duplicate breaker keeps from being sent: for now, or until a person decides."""
    made = current()
    made.child(made.deliveries_held, channel, reason).inc(amount)


def channel_paused(channel: str) -> None:
    """Count a pause of a channel that a worker has found out."""
    made = current()
    made.child(made.channel_pauses, channel).inc()


def stale_writes(write: Write, amount: int = 1) -> None:
    """Count rows that were not written because they had another owner by then."""
    made = current()
    made.child(made.stale_writes, write).inc(amount)


def reclaimed(what: Claim, cause: Cause, amount: int = 1) -> None:
    """Count claims taken back: the worker's exit or silence was seen, or the claim's reply never arrived."""
    made = current()
    made.child(made.reclaims, what, cause).inc(amount)


def leases_changed(change: LeaseChange, amount: int = 1) -> None:
    """Count buckets that changed hands."""
    made = current()
    made.child(made.lease_changes, change).inc(amount)


def beat() -> None:
    """Count a heartbeat that was written."""
    current().beats.inc()


def beat_failed() -> None:
    """Count a heartbeat that was not."""
    current().beat_failures.inc()


def restarted(kind: str, reason: str) -> None:
    """Count a child of this kind that ended and was replaced, for instance "worker", "signal:SIGKILL"."""
    made = current()
    made.child(made.restarts, kind, reason).inc()


def database_error(loop: str) -> None:
    """Count a database error that this loop survived."""
    made = current()
    made.child(made.database_errors, loop).inc()
