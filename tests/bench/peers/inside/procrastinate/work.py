"""One worker process of procrastinate: ten jobs side by side, finished ones deleted."""

import logging

from app import app

logging.getLogger("procrastinate").setLevel(logging.WARNING)
app.run_worker(concurrency=10, delete_jobs="successful", install_signal_handlers=True)
