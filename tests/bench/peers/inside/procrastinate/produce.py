"""procrastinate's producer: a thousand jobs a statement, by its synchronous connector."""

import os

import producing
from app import app as worker_app
from chunks import chunks
from procrastinate import SyncPsycopgConnector

app = worker_app.with_connector(SyncPsycopgConnector(conninfo=os.environ["BENCH_DSN"]))


def setup():
    """Make the tables."""
    app.schema_manager.apply_schema()


def bulk(numbers):
    """Enqueue many."""
    for chunk in chunks(numbers):
        app.configure_task("count").batch_defer(*({"number": number} for number in chunk))


def single(number):
    """Enqueue one."""
    app.configure_task("count").defer(number=number)


with app.open():
    producing.main(setup, bulk, single)
