"""One worker process of rq, which runs jobs in itself: the default forks a process for each."""

import os

from redis import Redis
from rq import Queue, SimpleWorker

connection = Redis.from_url(os.environ["BENCH_REDIS"])
SimpleWorker([Queue(connection=connection)], connection=connection).work(logging_level="WARNING")
