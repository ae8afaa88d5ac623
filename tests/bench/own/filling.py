"""Rows in bulk, as the calls of the API would have written them, but by one statement of the server."""

import psycopg

TASK = "tests.bench.own.project.tasks.count"

_READY = """
INSERT INTO pgsupervise_task (bucket, name, args)
SELECT number %% %(buckets)s * (256 / %(buckets)s), %(name)s, jsonb_build_array(number)
FROM generate_series(%(first)s::bigint, %(last)s::bigint) number
"""
_SCHEDULED = """
INSERT INTO pgsupervise_task (bucket, name, args, state, run_at)
SELECT number %% 256, %(name)s, jsonb_build_array(number), 'SCHEDULED',
    now() + interval '1 day' + number * interval '1 s'
FROM generate_series(1, %(count)s::bigint) number
"""
# The ids lie in front of all that will be given out, as those of the past do; the day is the one that is written to.
_FINISHED = """
INSERT INTO pgsupervise_finishedtask (id, bucket, name, args, state, attempt, started_at, finished_at)
SELECT number - 1 - %(count)s, number %% 256, %(name)s, jsonb_build_array(number), 'DONE', 1, now(), now()
FROM generate_series(1, %(count)s::bigint) number
"""
_EVENTS = """
INSERT INTO pgsupervise_event (bucket, policy, recipient, actor, object, data)
SELECT get_byte(sha256(convert_to(recipient, 'UTF8')), 0), %(policy)s, recipient,
    'actor-' || number %% 7, 'object', '{}'
FROM generate_series(1, %(count)s::bigint) number
CROSS JOIN LATERAL (
    SELECT 'user' || CASE WHEN number <= %(hot)s THEN 0 ELSE number %% %(recipients)s END || '@example.com'
) AS addressed (recipient)
"""


def ready(connection: psycopg.Connection, numbers: range, buckets: int = 256) -> None:
    """Write ready tasks with these numbers; they and the planner's knowledge of them appear together.

    They are spread evenly over so many buckets, which lie evenly in all partitions.
    """
    parameters = {"buckets": buckets, "name": TASK, "first": numbers.start, "last": numbers.stop - 1}
    with connection.transaction():
        connection.execute(_READY, parameters)
        connection.execute("ANALYZE pgsupervise_task")


def scheduled(connection: psycopg.Connection, count: int) -> None:
    """Write tasks that are due tomorrow and later."""
    connection.execute(_SCHEDULED, {"name": TASK, "count": count})


def finished(connection: psycopg.Connection, count: int) -> None:
    """Write finished tasks."""
    connection.execute(_FINISHED, {"name": TASK, "count": count})


def events(connection: psycopg.Connection, policy: str, count: int, recipients: int, hot: int = 0) -> None:
    """Write events of now, in turn for each of the recipients; the first `hot` are all for one of them."""
    parameters = {"policy": policy, "count": count, "recipients": recipients, "hot": hot}
    with connection.transaction():
        connection.execute(_EVENTS, parameters)
        connection.execute("ANALYZE pgsupervise_event")
