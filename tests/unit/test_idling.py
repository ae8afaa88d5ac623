"""Waiting for work: soon at first, less often later, never less often than was asked for."""

from datetime import timedelta

from pgsupervise.supervisor.idling import Idling


def test_the_wait_grows_with_the_time_in_which_there_was_nothing() -> None:
    now = [100.0]
    idling = Idling(timedelta(seconds=0.1), clock=lambda: now[0])
    waits = []
    for seconds in (0, 1, 1, 1, 30):
        now[0] += seconds
        waits.append(round(idling.seconds(), 3))
    assert waits == [0.1, 0.1, 0.2, 0.3, 2.0]
    idling.worked()
    assert idling.seconds() == 0.1


def test_a_longer_poll_is_kept() -> None:
    now = [0.0]
    idling = Idling(timedelta(seconds=3), clock=lambda: now[0])
    now[0] = 1000.0
    assert idling.seconds() == 3
