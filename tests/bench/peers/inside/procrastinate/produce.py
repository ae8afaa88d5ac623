"""procrastinate's producer: a thousand jobs a statement, by its synchronous connector."""

import os

import producing
from chunks import chunks
from procrastinate import App, SyncPsycopgConnector

app = App(connector=SyncPsycopgConnector(conninfo=os.environ["BENCH_DSN"]))
task = app.configure_task("count")


def setup():
    """Make the tables."""
    app.schema_manager.apply_schema()


def bulk(numbers):
    """Enqueue many."""
    for chunk in chunks(numbers):
        task.batch_defer(*({"number": number} for number in chunk))


def single(number):
    """Enqueue one."""
    task.defer(number=number)


with app.open():
    producing.main(setup, bulk, single)
