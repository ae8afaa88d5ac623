"""Through HTTP: the digests of a supervisor beside the bare `sendgrid` client with the same processes and threads."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from pgsupervise.supervisor.config import Config
from tests.bench.figures import Sample
from tests.bench.own.flushing import flushing
from tests.bench.own.place import Place
from tests.bench.own.project import variables
from tests.bench.own.samples import samples_of
from tests.bench.own.tally import TallyError
from tests.lifecycle.supervising import ROOT

sample = samples_of("mail")
MESSAGES = 2_000
PROCESSES = 2
THREADS = Config().senders
PAIRS = 3


def measure(place: Place) -> Iterator[Sample]:
    """Send the same messages both ways in turn, to the same server."""
    messages = place.amount(MESSAGES, 10)
    own: list[float] = []
    bare: list[float] = []
    with _server() as url, flushing(place, PROCESSES, **{variables.SENDGRID_HOST: url}) as two:
        for pair in range(PAIRS):
            place.bench.say(f"mail, pair {pair + 1} of {PAIRS}")
            two.empty()
            _ask(url, "reset", b"")
            two.fold("mailed", messages, messages)
            two.send(messages, messages)
            own.append(_rate(url, messages))
            bodies = _ask(url, "bodies")
            _ask(url, "reset", b"")
            _send_bare(url, bodies)
            bare.append(_rate(url, messages))
    yield sample("digests", "sent", median(own), "messages/s")
    yield sample("the bare client", "sent", median(bare), "messages/s")
    yield sample("digests", "of the bare client", median(one / two for one, two in zip(own, bare, strict=True)), "x")


def _send_bare(url: str, bodies: bytes) -> None:
    parameters = {"host": url, "processes": PROCESSES, "threads": THREADS}
    command = [sys.executable, "-m", "tests.bench.own.programs.bare_sender", json.dumps(parameters)]
    subprocess.run(command, check=True, input=bodies, cwd=ROOT)


def _rate(url: str, messages: int) -> float:
    stats = json.loads(_ask(url, "stats"))
    if (stats["messages"], stats["distinct"]) != (messages, messages):
        raise TallyError(f"{messages} messages were to be sent, the server got {stats}")
    return messages / max(float(stats["seconds"]), 1e-3)


def _ask(url: str, what: str, body: bytes | None = None) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/{what}", data=body, timeout=60) as answer:
        content: bytes = answer.read()
    return content


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.own.programs.mail_server"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=20)
