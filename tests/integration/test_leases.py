"""Leases: one owner a bucket, epochs that only rise, death decided in one row."""

import threading
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from pgsupervise.partitions import leases, workers
from tests.integration.world import DEAD_AFTER, age_beat, one, owner_of, worker

Connect = Callable[[], psycopg.Connection]


def test_all_of_a_partition_is_taken_or_none(connect: Connect) -> None:
    connection = connect()
    owner_of(connection, 3)
    rival = worker(connection)
    assert leases.acquire_leases(connection, rival, range(8)) == {}
    assert one(connection, "SELECT count(*) FROM pgsupervise_lease WHERE owner_id = %s", rival) == 0
    assert set(leases.acquire_leases(connection, rival, [4, 5, 6])) == {4, 5, 6}


def test_every_acquisition_raises_the_epoch(connect: Connect) -> None:
    connection = connect()
    first, epochs = owner_of(connection, 0)
    leases.release_leases(connection, first, [0])
    again = leases.acquire_leases(connection, first, [0])
    assert again[0] == epochs[0] + 1


def test_concurrent_workers_never_own_the_same_bucket(connect: Connect) -> None:
    rivals = [(connect(), worker(connect())) for _ in range(6)]
    taken: list[dict[int, int]] = []
    barrier = threading.Barrier(len(rivals))

    def rush(connection: psycopg.Connection, identity: UUID) -> None:
        barrier.wait()
        taken.extend(leases.acquire_leases(connection, identity, range(low, low + 32)) for low in range(0, 256, 32))

    threads = [threading.Thread(target=rush, args=rival) for rival in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    buckets = [bucket for epochs in taken for bucket in epochs]
    assert len(buckets) == len(set(buckets))


def test_only_the_owner_can_release(connect: Connect) -> None:
    connection = connect()
    owner_of(connection, 0)
    assert leases.release_leases(connection, worker(connection), [0]) == set()


def test_a_worker_that_was_declared_dead_does_not_come_back(connect: Connect) -> None:
    connection = connect()
    owner, _ = owner_of(connection, 0)
    age_beat(connection, owner)
    assert workers.bury_silent_workers(connection, workers.silent_workers(connection)) == [owner]
    assert not workers.beat(connection, owner, draining=False, running_task=None)
    assert leases.free_leases_of_the_dead(connection) == [0]
    assert leases.acquire_leases(connection, owner, [0]) == {}


def test_a_worker_that_beats_again_before_anybody_noticed_lives_on(connect: Connect) -> None:
    connection = connect()
    owner, _ = owner_of(connection, 0)
    age_beat(connection, owner)
    assert workers.beat(connection, owner, draining=False, running_task=None)
    assert workers.bury_silent_workers(connection, workers.silent_workers(connection)) == []


def test_each_process_is_silent_by_its_own_time_to_dead(connect: Connect) -> None:
    connection = connect()
    patient, impatient = worker(connection, dead_after=120.0), worker(connection)
    for identity in (patient, impatient):
        age_beat(connection, identity, 60)
    assert set(workers.silent_workers(connection)) == {impatient}
    assert [live.id for live in workers.live_workers(connection)] == [patient]
    assert workers.bury_silent_workers(connection, workers.silent_workers(connection)) == [impatient]


def test_who_has_beaten_since_it_was_seen_silent_is_not_buried(connect: Connect) -> None:
    connection = connect()
    identity = worker(connection)
    age_beat(connection, identity)
    seen = workers.silent_workers(connection)
    assert workers.beat(connection, identity, draining=False, running_task=None)
    age_beat(connection, identity)
    assert workers.bury_silent_workers(connection, seen) == []


def test_an_acquisition_under_way_puts_the_burial_off_and_is_then_undone(connect: Connect) -> None:
    """Otherwise a bucket would come to the dead after the dead one's buckets had been freed, and stay there."""
    connection, undertaker = connect(), connect()
    owner = worker(connection)
    with connection.transaction():
        assert leases.acquire_leases(connection, owner, [9])
        assert not workers.bury_worker(undertaker, owner, "signal:SIGKILL", None), "the share lock keeps it from it"
        assert workers.living_workers(undertaker, [owner]) == {owner}, "so it is tried again"
    assert workers.bury_worker(undertaker, owner, "signal:SIGKILL", None)
    assert workers.living_workers(undertaker, [owner]) == set()
    assert leases.free_leases_of_the_dead(undertaker) == [9]


def test_the_fence_holds_only_for_owner_and_epoch(connect: Connect) -> None:
    connection = connect()
    owner, epochs = owner_of(connection, 0)
    assert leases.hold_lease(connection, 0, owner, epochs[0])
    assert not leases.hold_lease(connection, 0, owner, epochs[0] - 1)
    assert not leases.hold_lease(connection, 0, worker(connection), epochs[0])


def test_a_held_fence_makes_a_take_over_wait(connect: Connect) -> None:
    connection, other = connect(), connect()
    owner, epochs = owner_of(connection, 0)
    other.execute("SET lock_timeout = '200ms'")
    with connection.transaction():
        assert leases.hold_lease(connection, 0, owner, epochs[0])
        with pytest.raises(psycopg.errors.LockNotAvailable):
            leases.release_leases(other, owner, [0])


def test_live_workers_come_by_the_age_of_their_supervisor_and_without_the_silent(connect: Connect) -> None:
    connection = connect()
    supervisor = "00000000-0000-0000-0000-0000000000ff"
    old = worker(connection, slot=1, supervisor=supervisor)
    new = worker(connection, slot=0)
    late = worker(connection, slot=0, supervisor=supervisor)
    worker(connection, kind="keeper")
    age_beat(connection, worker(connection))
    connection.execute("UPDATE pgsupervise_worker SET started_at = started_at - interval '1 hour' WHERE id = %s", [old])
    assert [live.id for live in workers.live_workers(connection)] == [late, old, new]


def test_ended_workers_are_pruned_unless_they_still_hold_a_claim(connect: Connect) -> None:
    connection = connect()
    gone = worker(connection)
    workers.stop_worker(connection, gone, "drained")
    assert workers.prune_workers(connection, DEAD_AFTER) == 0
    connection.execute("UPDATE pgsupervise_worker SET ended_at = ended_at - interval '1 hour'")
    assert workers.prune_workers(connection, DEAD_AFTER) == 1
