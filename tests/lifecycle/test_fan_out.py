"""Fan-out by real workers that are killed in the middle of it: no follower is missed, and none is told twice."""

import os
import random
import signal
import time
from contextlib import suppress

import psycopg

from pgsupervise.django_app.fanout import notify_followers
from pgsupervise.django_app.models import FanOut, FanOutState
from tests.lifecycle.conftest import Start
from tests.project.notifications import slow_followers
from tests.waiting import wait_until

FOLLOWERS, KILLINGS = 20_000, 4
SUBSCRIBE = """
INSERT INTO pgsupervise_subscription (bucket, recipient, object_type, object_id)
SELECT get_byte(sha256(convert_to('user-' || i, 'UTF8')), 0), 'user-' || i, 'auth.group', '1'
FROM generate_series(1, %s) i
"""
EVENTS = """
SELECT count(*), count(DISTINCT recipient), count(DISTINCT occurred_at) FROM pgsupervise_event WHERE policy = 'hourly'
"""
# A task of a worker that died is tried again at once, but not for ever: what kills three workers is buried.
FORGIVE = "UPDATE pgsupervise_task SET crashes = 0 WHERE crashes > 0"


def test_every_follower_is_told_once_though_workers_are_killed(start: Start, watch: psycopg.Connection) -> None:
    watch.execute(SUBSCRIBE, [FOLLOWERS])
    run = notify_followers("hourly", slow_followers.of(0.1), {"title": "Rome"}, run="post-1")
    supervisor, rand, killed = start(partitions=2), random.Random(40), 0
    places: set[int] = set()
    while FanOut.objects.get().state == FanOutState.RUNNING:
        told = FanOut.objects.get().told
        pids = list(supervisor.workers(watch).values())
        if pids and told and told not in places and len(places) < KILLINGS:
            places.add(told)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
        time.sleep(rand.uniform(0.1, 0.5))
        watch.execute(FORGIVE)
    run.refresh_from_db()
    assert (run.told, run.left_out, run.state) == (FOLLOWERS, 0, "DONE")
    assert watch.execute(EVENTS).fetchone() == (FOLLOWERS, FOLLOWERS, 1)
    assert len(places) >= 3
    assert killed >= 3
    wait_until(lambda: watch.execute("SELECT 1 FROM pgsupervise_task").fetchone() is None, 60, "no task is left")
    assert watch.execute("SELECT DISTINCT state FROM pgsupervise_finishedtask").fetchall() == [("DONE",)]
    assert supervisor.stop() == 0
