"""The chaos suite's audit must see what it is there to see: each broken promise, in evidence made by hand."""

from dataclasses import replace
from uuid import UUID

from tests.chaos.audit import audit
from tests.chaos.causes import double_runs
from tests.chaos.evidence import (
    READ,
    Answer,
    BatchRow,
    EventRow,
    Evidence,
    Fault,
    Kind,
    Message,
    Process,
    Produced,
    TaskRow,
)
from tests.chaos.ledger import Run

ANN, BOB = UUID(int=1), UUID(int=2)
"""Ann is a worker of A with the pid 11, Bob one of B with the pid 22."""
WORKERS = (
    Process(ANN, "A", "worker", 11, started=1.0, ended=None, state="ACTIVE", reason=""),
    Process(BOB, "B", "worker", 22, started=1.0, ended=None, state="ACTIVE", reason=""),
)
RUNS = (Run(1, 11, 10.0, 10.5), Run(2, 11, 11.0, 11.5), Run(3, 22, 10.2, 10.7))
ROWS = (
    TaskRow(1, 7, "k", "DONE", 1, 5, 0, ANN, 10.6),
    TaskRow(2, 7, "k", "DONE", 1, 5, 0, ANN, 11.6),
    TaskRow(3, 8, "", "DONE", 1, 5, 0, BOB, 10.8),
)
FINE = Evidence(
    dead_after=2.5,
    tasks=Produced(frozenset({1, 2, 3}), frozenset({4}), [frozenset({5, 6})]),
    runs=RUNS,
    task_rows=ROWS,
    processes=WORKERS,
    events=Produced(frozenset({1, 2, 3})),
    event_rows=[EventRow(1, 101, "FOLDED", 51), EventRow(2, 102, "FOLDED", 51), EventRow(3, 103, "FOLDED", 52)],
    batches=[
        BatchRow(51, "SEALED", 2, 1, 91, "ACCEPTED", "inbox", [101, 102], [1, 2]),
        BatchRow(52, "SEALED", 1, 1, 92, "ACCEPTED", "sendgrid", [103], [3]),
    ],
    messages=[Message(91, [1, 2], "two", 20.0), Message(92, [3], "three", 20.0)],
)


def kinds(evidence: Evidence) -> set[str]:
    return {violation.kind for violation in audit(evidence)}


def dead(worker: int, at: float, reason: str = "signal:SIGKILL") -> list[Process]:
    processes = list(WORKERS)
    processes[worker] = replace(processes[worker], ended=at, state="DEAD", reason=reason)
    return processes


def with_row(row: TaskRow) -> list[TaskRow]:
    return [row if row.number == each.number else each for each in ROWS]


RERUN = (Run(1, 11, 10.0, None), Run(1, 22, 12.0, 12.5), Run(2, 22, 13.0, 13.5), Run(3, 22, 10.2, 10.7))
RERUN_ROWS = (replace(ROWS[0], worker=BOB, ended=12.6), replace(ROWS[1], worker=BOB, ended=13.6), ROWS[2])
KILL = Fault(Kind.WORKER_KILL, "A", 10.3, 10.3, frozenset({11}))


def test_what_kept_every_promise_has_no_violation() -> None:
    assert audit(FINE) == []


def test_a_second_run_is_attributed_to_the_kill_that_cut_the_first_one_off() -> None:
    evidence = replace(FINE, runs=RERUN, task_rows=RERUN_ROWS, processes=dead(0, 10.35), faults=[KILL])
    assert audit(evidence) == []
    assert [double.cause for double in double_runs(evidence)] == [Kind.WORKER_KILL]


def test_a_second_run_without_a_fault_is_found() -> None:
    evidence = replace(FINE, runs=RERUN, task_rows=RERUN_ROWS, processes=dead(0, 10.35))
    assert kinds(evidence) == {"unexplained double run"}


def test_a_fault_of_somebody_else_explains_nothing() -> None:
    others = [
        replace(KILL, pids=frozenset({12})),
        replace(KILL, since=9.0, until=9.0, kind=Kind.TERM, pids=frozenset()),
        Fault(Kind.LONG_STALL, "B", 9.0, 12.0),
        Fault(Kind.WORKER_KILL, "A", 12.1, 12.1, frozenset({11})),
    ]
    evidence = replace(FINE, runs=RERUN, task_rows=RERUN_ROWS, processes=dead(0, 10.35), faults=others)
    assert kinds(evidence) == {"unexplained double run"}


def test_done_before_the_run_of_its_worker_has_ended_is_a_phantom() -> None:
    """As a zombie's late result would make it, which takes the row from under the present worker."""
    evidence = replace(
        FINE,
        runs=[Run(1, 11, 10.0, 11.0), Run(1, 22, 14.0, 17.0), *RUNS[2:]],
        task_rows=[replace(ROWS[0], worker=BOB, ended=15.0), ROWS[2]],
        tasks=Produced(frozenset({1, 3})),
        processes=dead(0, 13.0, "silence"),
        faults=[Fault(Kind.LONG_STALL, "A", 10.5, 15.0)],
    )
    assert kinds(evidence) == {"phantom DONE"}


def test_done_by_a_worker_that_never_ran_it_is_a_phantom() -> None:
    assert kinds(replace(FINE, task_rows=with_row(replace(ROWS[0], worker=BOB)))) == {"phantom DONE"}
    assert kinds(replace(FINE, task_rows=with_row(replace(ROWS[0], worker=None)))) == {"phantom DONE"}


def test_a_task_that_was_committed_and_is_nowhere_is_lost() -> None:
    assert kinds(replace(FINE, task_rows=ROWS[1:], runs=RUNS[1:])) == {"lost task"}


def test_a_task_in_two_rows_is_found() -> None:
    assert kinds(replace(FINE, task_rows=[*ROWS, ROWS[2]])) == {"two rows"}


def test_a_task_that_is_not_done_is_found() -> None:
    ready = replace(ROWS[0], state="READY", worker=None, ended=None)
    assert kinds(replace(FINE, task_rows=with_row(ready))) == {"not done"}


def test_dead_is_right_only_after_three_workers_died_of_it() -> None:
    poisoned = replace(ROWS[2], state="DEAD", crashes=3, worker=BOB)
    cut = [Run(3, 22, at, None) for at in (10.0, 11.0, 12.0)]
    kills = [Fault(Kind.WORKER_KILL, "B", at, at, frozenset({22})) for at in (10.1, 11.1, 12.1)]
    assert kinds(replace(FINE, task_rows=with_row(poisoned), runs=[*RUNS[:2], *cut], faults=kills)) == set()
    assert kinds(replace(FINE, task_rows=with_row(poisoned))) == {"dead too soon"}
    assert kinds(replace(FINE, task_rows=with_row(replace(poisoned, crashes=2)))) == {"not done"}


def test_an_attempt_that_was_burnt_by_nothing_is_found() -> None:
    assert kinds(replace(FINE, task_rows=with_row(replace(ROWS[0], attempt=2)))) == {"attempts"}
    assert kinds(replace(FINE, task_rows=with_row(replace(ROWS[0], attempt=0)))) == {"attempts"}


def test_a_run_of_a_task_that_was_rolled_back_is_found() -> None:
    assert kinds(replace(FINE, runs=[*RUNS, Run(4, 22, 30.0, 30.1)])) == {"ran without a row"}
    assert kinds(replace(FINE, task_rows=[*ROWS, replace(ROWS[2], number=4)])) == {"unwanted row", "phantom DONE"}


def test_half_a_transaction_is_found_where_nobody_knows_whether_it_committed() -> None:
    half = replace(ROWS[2], number=5, ended=30.2)
    assert kinds(replace(FINE, task_rows=[*ROWS, half], runs=[*RUNS, Run(5, 22, 30.0, 30.1)])) == {"lost task"}


def test_a_key_out_of_order_is_found() -> None:
    """The second task of a key begins before the first one has ended."""
    early = (RUNS[0], Run(2, 11, 10.4, 11.5), RUNS[2])
    assert kinds(replace(FINE, runs=early)) == {"order"}


def test_a_rerun_of_an_earlier_task_does_not_break_the_order() -> None:
    """Both had been run when their worker died, and nothing was written down: both run again."""
    again = [*RUNS, Run(1, 22, 15.0, 15.1), Run(2, 22, 15.2, 15.3)]
    rows = [replace(ROWS[0], worker=BOB, ended=15.2), replace(ROWS[1], worker=BOB, ended=15.4), ROWS[2]]
    kill = replace(KILL, since=11.6, until=11.6)
    assert kinds(replace(FINE, runs=again, task_rows=rows, processes=dead(0, 11.7), faults=[kill])) == set()


def test_two_processes_in_one_bucket_at_once_are_found() -> None:
    same_bucket = with_row(replace(ROWS[2], bucket=7))
    assert kinds(replace(FINE, task_rows=same_bucket)) == {"overlap"}


def test_a_run_without_an_end_holds_its_bucket_until_its_worker_is_buried() -> None:
    evidence = replace(FINE, runs=RERUN, task_rows=RERUN_ROWS, faults=[KILL])
    assert "overlap" in kinds(replace(evidence, processes=dead(0, 12.2)))
    assert kinds(replace(evidence, processes=dead(0, 11.9))) == set()


def test_a_zombie_that_begins_a_run_is_found() -> None:
    stop = Fault(Kind.PAIR_STOP, "A", 5.0, 9.0, frozenset({11}), frozenset({11}))
    assert kinds(replace(FINE, processes=dead(0, 8.0, "silence"), faults=[stop])) == {"zombie began"}


def test_a_process_that_lives_on_after_its_burial_is_found() -> None:
    evidence = replace(FINE, processes=dead(0, 12.0), alive=frozenset({11, 22}))
    assert kinds(evidence) == {"zombie lives"}


def test_a_burial_for_silence_without_a_fault_is_found() -> None:
    assert kinds(replace(FINE, processes=dead(0, 12.0, "silence"))) == {"unexplained end"}
    assert kinds(replace(FINE, processes=dead(0, 12.0, "error"), faults=[KILL])) == {"unexplained end"}


def test_a_burial_that_comes_late_needs_a_fault_soon_after_the_last_beat() -> None:
    buried = [replace(each, beat=10.2) for each in dead(0, 30.0, "silence")]
    assert kinds(replace(FINE, processes=buried, faults=[KILL])) == set()
    for at in (10.0, 20.0):
        assert kinds(replace(FINE, processes=buried, faults=[replace(KILL, since=at, until=at)])) == {"unexplained end"}


def test_an_event_that_is_nowhere_or_in_no_batch_is_lost() -> None:
    assert "lost event" in kinds(replace(FINE, event_rows=FINE.event_rows[:2]))
    pending = [*FINE.event_rows[:2], EventRow(3, 103, "PENDING", None)]
    assert "lost event" in kinds(replace(FINE, event_rows=pending))


def test_an_event_in_two_digests_is_found() -> None:
    twice = replace(FINE.batches[1], item_ids=[101, 103], numbers=[1, 3], item_count=2)
    found = kinds(replace(FINE, batches=[FINE.batches[0], twice]))
    assert "event in two digests" in found


def test_a_digest_that_lacks_an_event_is_found() -> None:
    lacking = replace(FINE.batches[0], numbers=[1])
    assert kinds(replace(FINE, batches=[lacking, FINE.batches[1]])) == {"wrong text", "changed message"}
    lacking = replace(FINE.batches[0], item_ids=[101])
    assert kinds(replace(FINE, batches=[lacking, FINE.batches[1]])) == {"wrong items"}
    assert kinds(replace(FINE, batches=[replace(FINE.batches[0], item_count=3), FINE.batches[1]])) == {"item count"}


def test_a_batch_without_exactly_one_delivery_is_found() -> None:
    for broken in (replace(FINE.batches[0], deliveries=2), replace(FINE.batches[0], state="OPEN")):
        assert "not sealed" in kinds(replace(FINE, batches=[broken, FINE.batches[1]]))
    waiting = replace(FINE.batches[1], delivery_state="UNKNOWN")
    assert "not delivered" in kinds(replace(FINE, batches=[FINE.batches[0], waiting]))


def test_a_message_that_never_arrived_is_found() -> None:
    assert kinds(replace(FINE, messages=FINE.messages[1:])) == {"lost message"}


def test_a_mail_may_arrive_twice_by_a_fault_and_only_unchanged() -> None:
    again = [*FINE.messages, replace(FINE.messages[1], at=21.0)]
    kill = replace(KILL, since=20.1, until=20.1)
    assert kinds(replace(FINE, messages=again)) == {"unexplained resend"}
    assert kinds(replace(FINE, messages=again, faults=[kill])) == set()
    changed = [*FINE.messages, replace(FINE.messages[1], at=21.0, content="other")]
    assert kinds(replace(FINE, messages=changed, faults=[kill])) == {"changed message"}


def test_an_inbox_message_arrives_once_whatever_happens() -> None:
    again = [*FINE.messages, replace(FINE.messages[0], at=21.0)]
    kill = replace(KILL, since=20.1, until=20.1)
    assert kinds(replace(FINE, messages=again, faults=[kill])) == {"unexplained resend"}


OUT = replace(FINE.batches[1], item_ids=[], numbers=[], deliveries=0, delivery=None, delivery_state="", channel="")


def without_third(event: EventRow, batch: BatchRow, **others: object) -> Evidence:
    """Let the third event, alone in its batch, not be told."""
    changed: dict[str, object] = {
        "event_rows": [*FINE.event_rows[:2], event],
        "batches": [FINE.batches[0], batch],
        "messages": FINE.messages[:1],
        "fickle": frozenset({"eve"}),
        **others,
    }
    return replace(FINE, **changed)  # type: ignore[arg-type]


def test_what_is_left_out_needs_somebody_who_has_done_it() -> None:
    retracted = EventRow(3, 103, "RETRACTED", 52)
    empty = replace(OUT, reason="empty")
    assert kinds(without_third(retracted, empty, answers=[Answer(3, "RETRACTED")])) == set()
    assert kinds(without_third(retracted, empty)) == {"left out"}
    read = EventRow(3, 103, "FILTERED", 52, "read")
    assert kinds(without_third(read, empty, answers=[Answer(3, READ)])) == set()
    assert kinds(without_third(read, empty, answers=[Answer(3, "SENT")])) == {"left out"}
    assert kinds(without_third(EventRow(3, 103, "FILTERED", 52), empty)) == {"left out"}


def test_what_is_muted_or_too_little_is_so_with_its_batch() -> None:
    muted = EventRow(3, 103, "FILTERED", 52, "muted", "eve")
    assert kinds(without_third(muted, replace(OUT, reason="muted"))) == set()
    assert kinds(without_third(replace(muted, recipient="ann"), replace(OUT, reason="muted"))) == {"left out"}
    assert kinds(without_third(muted, replace(OUT, reason="empty"))) == {"left out"}
    few = replace(muted, reason="below minimum")
    assert kinds(without_third(few, replace(OUT, reason="below minimum"))) == set()
    assert kinds(without_third(few, replace(OUT, reason=""))) == {"left out", "not sealed"}


def test_an_answer_that_does_not_hold_is_found() -> None:
    for answer in ("SEALED", "SENT"):
        assert kinds(replace(FINE, answers=[Answer(3, answer, is_certain=True)])) == set()
    assert kinds(replace(FINE, answers=[Answer(3, "RETRACTED", is_certain=True)])) == {"wrong answer"}
    assert kinds(replace(FINE, answers=[Answer(3, "RETRACTED")])) == set(), "its transaction may not have committed"
    retracted = EventRow(3, 103, "RETRACTED", 52)
    sealed = [Answer(3, "RETRACTED"), Answer(3, "SEALED", is_certain=True)]
    assert kinds(without_third(retracted, replace(OUT, reason="empty"), answers=sealed)) == {"wrong answer"}


def test_what_was_retracted_and_is_told_all_the_same_is_found() -> None:
    told = replace(FINE, event_rows=[*FINE.event_rows[:2], EventRow(3, 103, "RETRACTED", 52)])
    assert {"wrong items", "wrong text"} <= kinds(told)


def test_a_delivery_may_be_skipped_for_a_wish_or_where_all_is_read() -> None:
    skipped = replace(FINE.batches[1], delivery_state="SKIPPED", delivery_reason="muted", recipient="eve")
    whole = FINE.event_rows[2]
    assert kinds(without_third(whole, skipped)) == set()
    assert kinds(without_third(whole, replace(skipped, delivery_reason="no longer wished by sendgrid"))) == set()
    assert kinds(without_third(whole, replace(skipped, recipient="ann"))) == {"not delivered"}
    read = replace(skipped, delivery_reason="read", recipient="ann")
    assert kinds(without_third(whole, read, answers=[Answer(3, READ)])) == set()
    assert kinds(without_third(whole, read, answers=[Answer(2, READ)])) == {"not delivered"}
    assert kinds(without_third(whole, skipped, messages=FINE.messages)) == {"skipped message"}
