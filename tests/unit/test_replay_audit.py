"""The replay's audit: it must see what it is there to see."""

from datetime import UTC, datetime, timedelta

from pgsupervise.django_app.replay.audit import Digest, Findings, StoredEvent, audit
from pgsupervise.django_app.replay.reader import FileEvent

START = datetime(2026, 3, 1, tzinfo=UTC)
FILE = [
    FileEvent(START + timedelta(hours=hour), str(hour), "actor", recipient, object_)
    for hour, (recipient, object_) in enumerate([("ann", "x"), ("bob", "x"), ("ann", "y"), ("ann", "x"), ("bob", "y")])
]
STORED = [StoredEvent(id_, row.recipient, row.object, row.at) for id_, row in enumerate(FILE, 1)]


def found(*digests: tuple[str, list[int]], stored: list[StoredEvent] = STORED, by_object: bool = False) -> Findings:
    return audit(FILE, stored, [Digest(recipient, ids) for recipient, ids in digests], by_object=by_object)


def faults(findings: Findings) -> tuple[int, int, int]:
    return findings.lost, findings.duplicated, findings.out_of_order


def test_digests_with_every_event_once_and_in_order_have_no_fault() -> None:
    findings = found(("ann", [1, 3]), ("bob", [2, 5]), ("ann", [4]))
    assert faults(findings) == (0, 0, 0)
    assert (findings.events, findings.digests, findings.items) == (5, 3, 5)


def test_the_fingerprint_depends_on_the_digests_and_not_on_their_order() -> None:
    first = found(("ann", [1, 3]), ("bob", [2, 5]), ("ann", [4])).fingerprint
    assert found(("bob", [2, 5]), ("ann", [1, 3]), ("ann", [4])).fingerprint == first
    assert found(("bob", [2, 5]), ("ann", [1]), ("ann", [3, 4])).fingerprint == first  # two and one, as before
    assert found(("bob", [2, 5]), ("ann", [1, 3, 4])).fingerprint != first


def test_an_event_in_no_digest_is_lost() -> None:
    assert faults(found(("ann", [1, 3, 4]), ("bob", [2]))) == (1, 0, 0)


def test_an_event_that_was_not_stored_or_not_as_it_stands_in_the_file_is_lost() -> None:
    assert faults(found(("ann", [1, 3, 4]), ("bob", [2]), stored=STORED[:4])) == (1, 0, 0)
    changed = [*STORED[:4], StoredEvent(5, "bob", "y", START)]
    assert faults(found(("ann", [1, 3, 4]), ("bob", [2, 5]), stored=changed)) == (1, 1, 0)


def test_an_event_in_two_digests_is_duplicated() -> None:
    assert faults(found(("ann", [1, 3, 4]), ("bob", [2, 5]), ("bob", [5]))) == (0, 1, 0)


def test_an_event_twice_in_a_digest_is_duplicated() -> None:
    assert faults(found(("ann", [1, 3, 4]), ("bob", [2, 2, 5]))) == (0, 1, 0)


def test_an_event_with_somebody_else_is_lost_for_one_and_too_much_for_the_other() -> None:
    assert faults(found(("ann", [1, 2, 3, 4]), ("bob", [5]))) == (1, 1, 0)


def test_an_item_that_is_no_event_is_too_much() -> None:
    assert faults(found(("ann", [1, 3, 4]), ("bob", [2, 5, 77]), ("cid", [78]))) == (0, 2, 0)


def test_items_behind_newer_ones_are_out_of_order() -> None:
    assert faults(found(("ann", [3, 1, 4]), ("bob", [2, 5]))) == (0, 0, 1)


def test_a_digest_behind_one_with_newer_events_is_out_of_order() -> None:
    assert faults(found(("ann", [4]), ("ann", [1, 3]), ("bob", [2, 5]))) == (0, 0, 1)


def test_by_object_each_object_has_an_order_of_its_own_and_no_digest_has_two() -> None:
    apart = found(("ann", [1, 4]), ("ann", [3]), ("bob", [2]), ("bob", [5]), by_object=True)
    assert faults(apart) == (0, 0, 0)
    assert faults(found(("ann", [1, 3, 4]), ("bob", [2]), ("bob", [5]), by_object=True)) == (1, 1, 0)
