"""The bare `sendgrid` client sends what it is given, from so many processes and threads: what HTTP alone allows."""

import json
import multiprocessing
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from sendgrid import SendGridAPIClient

BOOT_SECONDS = 0.5


def main(host: str, processes: int, threads: int) -> None:
    """Send the messages, one a line on standard input; each thread has a client of its own."""
    messages = [json.loads(line) for line in sys.stdin.buffer]
    begin = time.monotonic() + BOOT_SECONDS
    fork = multiprocessing.get_context("fork")
    shares = [messages[number::processes] for number in range(processes)]
    children = [fork.Process(target=_process, args=(host, threads, share, begin)) for share in shares]
    for child in children:
        child.start()
    for child in children:
        child.join()
    if any(child.exitcode for child in children):
        raise SystemExit("a message was not accepted")


def _process(host: str, threads: int, messages: Sequence[Any], begin: float) -> None:
    failed: list[Exception] = []
    shares = [messages[number::threads] for number in range(threads)]
    workers = [threading.Thread(target=_thread, args=(host, share, begin, failed)) for share in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]


def _thread(host: str, messages: Sequence[Any], begin: float, failed: list[Exception]) -> None:
    client = SendGridAPIClient(api_key="SG.the-key-id.the-secret-part", host=host)
    time.sleep(max(0.0, begin - time.monotonic()))
    try:
        for message in messages:
            if client.send(message).status_code != 202:
                raise RuntimeError("not accepted")
    except Exception as error:
        failed.append(error)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
