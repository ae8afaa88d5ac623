"""A celery project of one task: no results, JSON, workers that take many messages at once."""

import os

import counting
from celery import Celery

app = Celery("app", broker=os.environ["BENCH_REDIS"])
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 100


@app.task
def count(number):
    """Count itself."""
    counting.count(number)
