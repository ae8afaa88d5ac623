"""What histories are drawn from: events, wishes, owners, and what befalls these."""

from datetime import timedelta
from enum import Enum

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from pgsupervise.partitions.buckets import bucket_of
from tests.integration.ownership.lease_machine import among

from .kinds import ENDS
from .model import MINUTE

RECIPIENTS = ("ann", "bob")
BUCKETS = sorted({bucket_of(recipient) for recipient in RECIPIENTS})
WINDOWS = [
    timedelta(minutes=20),
    {"sliding": 900, "max": 2400},
    "0 * * * *",
    {"at_once": True},
    None,
]

quarters = st.integers(0, 6).map(lambda number: number * 15 * MINUTE)
whose = {
    "recipient": st.sampled_from(RECIPIENTS),
    "tenant": st.sampled_from(["", "", "", "acme"]),
    "page": st.sampled_from(["", "", "", "page"]),
    "ends_at": st.sampled_from(ENDS),
    "own": st.sampled_from([False, False, False, True]),
    "about": st.sampled_from([0, 0, 0, 1, 2]),
}
chosen = among(lambda machine: machine.chosen)
stories = st.fixed_dictionaries({"policy": chosen, **whose})
beginnings = st.lists(st.tuples(st.integers(0, 1), st.fixed_dictionaries(whose), quarters), min_size=6, max_size=12)
# Several, which contradict each other, so that it shows which of them counts.
first_wishes = st.lists(
    st.tuples(
        st.sampled_from(["policy", "category", ""]),
        st.sampled_from(["", *RECIPIENTS]),
        st.sampled_from(["", "acme", "acme"]),
        st.sampled_from(WINDOWS),
        st.sampled_from([True, False, False, None, None]),
    ),
    max_size=8,
)
buckets = st.sampled_from(BUCKETS)
anyone = among(lambda machine: machine.history.told)
mostly_unsettled = among(lambda machine: machine.unsettled() or machine.history.told)
has_any = precondition(lambda machine: machine.history.told)


class Fate(Enum):
    """What befalls an owner in the middle of its turn."""

    SESSION_ENDS = "its connection is lost; it goes on from its marks"
    IS_KILLED = "its session ends, and another one takes over"
    IS_STOPPED = "another one takes over, folds and seals; then it wakes up"
    CLOCK_MOVES = "time passes"
    IS_TOLD = "somebody tells something"
    IS_TAKEN_BACK = "somebody takes something back"
    HAS_TO_STOP = "it drains"


SUDDEN = (Fate.SESSION_ENDS, Fate.IS_KILLED)
"""In the middle of a transaction, too; what others do who might wait for its locks happens between two."""
troubles = st.lists(
    st.tuples(st.sampled_from(Fate), st.integers(1, 9), st.integers(0, 6), stories), min_size=1, max_size=3
)
