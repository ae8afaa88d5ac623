"""A procrastinate app of one asynchronous task."""

import os

import counting
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_DSN"], max_size=20))


@app.task(name="count")
async def count(number):
    """Count itself."""
    counting.count(number)
