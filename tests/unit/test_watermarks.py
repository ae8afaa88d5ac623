"""A claim starts behind the last one, and starts over where something may lie below."""

from pgsupervise.partitions.rows import ClaimedTask
from pgsupervise.partitions.tasks import START, Chunk
from pgsupervise.supervisor.watermarks import MOST_TRUST_SECONDS, SHARE_OF_LOOKS, TRUST_SECONDS, Watermarks

CHUNK = Chunk([ClaimedTask(9, 0, 1, "t", "[]", "{}", 1, 5, 0, "")], (0, 9))
NOTHING = Chunk([], START)


def test_a_claim_starts_behind_the_last_one_for_as_long_as_it_is_trusted() -> None:
    marks = Watermarks()
    assert marks.behind(0, 1, 100.0) == START
    marks.claimed(0, 1, START, CHUNK, 100.0)
    assert marks.behind(0, 1, 100.0 + TRUST_SECONDS / 2) == (0, 9)
    assert marks.behind(1, 1, 100.0) == START, "another bucket has its own"
    later = Chunk(CHUNK.tasks, (0, 12))
    marks.claimed(0, 1, (0, 9), later, 100.9)
    assert marks.behind(0, 1, 100.99) == (0, 12)
    assert marks.behind(0, 1, 100.0 + TRUST_SECONDS) == START, "a claim behind it does not make it last longer"


def test_an_empty_claim_a_new_epoch_and_a_word_from_outside_start_over() -> None:
    marks = Watermarks()
    marks.claimed(0, 1, START, CHUNK, 100.0)
    assert marks.behind(0, 2, 100.1) == START
    marks.claimed(0, 1, (0, 9), NOTHING, 100.1)
    assert marks.behind(0, 1, 100.1) == START
    marks.claimed(0, 1, START, CHUNK, 100.2)
    marks.forget(0)
    assert marks.behind(0, 1, 100.2) == START
    marks.claimed(0, 1, START, CHUNK, 100.3)
    marks.clear()
    assert marks.behind(0, 1, 100.3) == START


def test_looks_that_take_long_are_made_less_often() -> None:
    marks = Watermarks()
    marks.claimed(0, 1, START, CHUNK, 100.0)
    marks.looked([0, 1], 102.0, 0.1)
    assert marks.behind(0, 1, 102.0 + SHARE_OF_LOOKS * 0.1 - 0.01) == (0, 9)
    assert marks.behind(0, 1, 102.0 + SHARE_OF_LOOKS * 0.1) == START
    marks.claimed(0, 1, START, CHUNK, 110.0)
    marks.looked([0], 111.0, 60.0)
    assert marks.behind(0, 1, 111.0 + MOST_TRUST_SECONDS) == START, "one look that was held up is not believed for long"
    marks.looked([0], 120.0, 0.0001)
    assert marks.behind(0, 1, 120.0 + TRUST_SECONDS) == START, "and quick ones once a second again"
