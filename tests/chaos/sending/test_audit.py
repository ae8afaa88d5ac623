"""The audit of the fire finds each broken promise: evidence of a run in which all went well, with one thing changed."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.sending.audit import audit, duplicates
from tests.chaos.sending.evidence import WAYS, Attempt, Evidence, Row, Taken

RESEND, HOLD, RECONCILE, LOST = 1, 2, 3, 4
RECIPIENTS = [*(f"{way}-0@example.com" for way in WAYS), "hold-1@example.com"]


def taken(delivery: int, attempt: int = 1, **changes: Any) -> Taken:
    fields = {"recipient": RECIPIENTS[delivery - 1], "fingerprint": f"of {delivery}", "at": 0.0, **changes}
    return Taken(Attempt(delivery, attempt), **fields)


def row(delivery: int, state: str = "ACCEPTED", attempt: int = 1, **changes: Any) -> Row:
    recipient = RECIPIENTS[delivery - 1]
    fields = {"recipient": recipient, "policy": f"mailed-{recipient.partition('-')[0]}", "duplicates": 0, **changes}
    return Row(id=delivery, state=state, attempt=attempt, **fields)


# The resent one was taken twice, the held one and the reconciled one once each; the last one was never taken.
GOOD = Evidence(
    recipients=RECIPIENTS,
    taken=[taken(RESEND), taken(HOLD), taken(RECONCILE, 2), taken(RESEND, 2)],
    cut={Attempt(RESEND, 1): "taken, hung up", Attempt(RECONCILE, 1): "not taken, 500", Attempt(LOST, 1): "504"},
    killed={Attempt(HOLD, 1): 1},
    held=frozenset({HOLD, LOST}),
    rows=[row(RESEND, attempt=2, duplicates=1), row(HOLD), row(RECONCILE, attempt=2), row(LOST, "UNKNOWN")],
)


def with_rows(*changed: Row) -> Evidence:
    return replace(GOOD, rows=[next((one for one in changed if one.id == old.id), old) for old in GOOD.rows])


def with_taken(*more: Taken) -> Evidence:
    return replace(GOOD, taken=[*GOOD.taken, *more])


def test_a_run_in_which_all_went_well_has_no_violation() -> None:
    assert audit(GOOD) == []
    assert duplicates(GOOD) == {"taken, hung up": 1}


@pytest.mark.parametrize(
    ("kind", "evidence"),
    [
        ("digests", replace(GOOD, recipients=[*RECIPIENTS, "hold-2@example.com"])),
        ("digests", replace(GOOD, rows=[*GOOD.rows, row(HOLD)._replace(id=9)])),
        ("left over", with_rows(row(RECONCILE, "RETRYING", 2))),
        ("unknown death", replace(GOOD, killed={Attempt(HOLD, 1): 0})),
        ("attempt used twice", with_taken(taken(RESEND))),
        ("wrong recipient", with_taken(taken(LOST, recipient="eve@example.com"))),
        ("bytes differ", replace(GOOD, taken=[*GOOD.taken[:3], taken(RESEND, 2, fingerprint="other")])),
        ("not counted", with_rows(row(RESEND, attempt=2))),
        ("not counted", with_rows(row(HOLD, duplicates=1))),
        ("not exactly once", with_taken(taken(RECONCILE, 1))),
        ("not exactly once", replace(GOOD, taken=[one for one in GOOD.taken if one.which.delivery != RECONCILE])),
        ("not exactly once", with_rows(row(RECONCILE, "UNKNOWN", 2))),
        ("duplicate of nothing", replace(GOOD, cut={})),
        ("not at least once", replace(GOOD, taken=[one for one in GOOD.taken if one.which.delivery != RESEND])),
        ("not at most once", with_taken(taken(HOLD, 2))),
        ("held", replace(GOOD, held=frozenset({HOLD}))),
        ("held", replace(GOOD, killed={})),
        ("fate", with_rows(row(LOST))),
        ("fate", with_rows(row(HOLD, "UNKNOWN"))),
        ("lost", replace(GOOD, held=frozenset({HOLD}), cut={})),
    ],
)
def test_each_broken_promise_is_found(kind: str, evidence: Evidence) -> None:
    assert kind in {violation.kind for violation in audit(evidence)}
