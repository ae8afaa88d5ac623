"""A SendGrid that fails at random after it has read a request, and keeps the true list of what it took."""

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.message import Message as Head
from itertools import count
from random import Random
from typing import Any

from tests.chaos.sending.evidence import Attempt, Taken
from tests.sendgrid_description import Problem
from tests.sendgrid_server import Action, Behaviour, SendGridServer

TELLS = frozenset({202, 400, 429, 503})
"""The answers that leave no doubt."""
NUMBER = re.compile(rb'"pgs_attempt": "\d+"')
CALM = Behaviour()
LONGEST_THOUGHT = 0.15
THOUGHTFUL = 0.05
EXAMINED_EVERY = 10
FAULTS: dict[str, tuple[Behaviour, float]] = {
    "taken, hung up": (Behaviour(action=Action.HANG_UP), 0.006),
    "not taken, hung up": (Behaviour(action=Action.HANG_UP, takes=False), 0.004),
    "taken, half a reply": (Behaviour(action=Action.HALF_REPLY), 0.004),
    "taken, 500": (Behaviour(status=500, takes=True), 0.004),
    "not taken, 500": (Behaviour(status=500), 0.004),
    "taken, 502": (Behaviour(status=502, takes=True, body="<html>Bad Gateway</html>"), 0.002),
    "not taken, 504": (Behaviour(status=504), 0.002),
    "taken, 200": (Behaviour(status=200, takes=True), 0.001),
    "taken, never answered": (Behaviour(action=Action.HANG_READ), 0.003),
    "not taken, never answered": (Behaviour(action=Action.HANG_READ, takes=False), 0.002),
    # It says that it closes the connection: else a next message on it would be in doubt without its having read it.
    "taken, answered a byte at a time": (Behaviour(action=Action.DRIP, headers={"Connection": "close"}), 0.001),
    "503": (Behaviour(status=503), 0.005),
}
"""What it does, beside answering 202, and how often."""
_NAMES = {id(behaviour): name for name, (behaviour, _) in FAULTS.items()}

Heard = Callable[[Taken, dict[str, str]], None]


class Provider(SendGridServer):
    """`took` and `left` are called, before the answer, with what was taken and what was not and left in doubt."""

    def __init__(self, seed: int, took: Heard, left: Callable[[dict[str, str]], None]) -> None:
        super().__init__()
        self.taken: list[Taken] = []
        self.cut: dict[Attempt, str] = {}
        self.did: Counter[str] = Counter()
        self.hanging: dict[int, Attempt] = {}
        """What it will never answer, by delivery."""
        self.calm = False
        self._rand = Random(seed)
        self._took, self._left = took, left
        self._examined = count()
        self._deciding: Counter[int] = Counter()
        self._ledger = threading.Lock()

    def next_behaviour(self) -> Behaviour:
        """Return what the request that has just come is in for."""
        with self._ledger:
            chance = self._rand.random()
        if self.calm:
            return CALM
        for behaviour, share in FAULTS.values():
            if chance < share:
                return behaviour
            chance -= share
        return CALM

    def examine(self, headers: Head, content: bytes) -> tuple[int, dict[str, Any], list[Problem]]:
        """Hold one request in so many against SendGrid's description: it takes as long as all the rest."""
        if next(self._examined) % EXAMINED_EVERY and content.endswith(b"}"):
            return 202, json.loads(content), []
        return super().examine(headers, content)  # so is what a killed sender has left half written

    def decide(self, behaviour: Behaviour, body: dict[str, Any], content: bytes) -> str:
        """Write down what becomes of a request, and tell of it before it is answered."""
        (personalization,) = body["personalizations"]
        marks: dict[str, str] = personalization["custom_args"]
        which = Attempt(int(marks["pgs_delivery"]), int(marks["pgs_attempt"]))
        with self._ledger:
            self._deciding[which.delivery] += 1
            thoughts = [self._rand.random() * LONGEST_THOUGHT if self._rand.random() < THOUGHTFUL else 0 for _ in "ab"]
        time.sleep(thoughts[0])
        takes = behaviour.status == 202 if behaviour.takes is None else behaviour.takes
        taken = Taken(which, personalization["to"][0]["email"], _fingerprint(content), time.time())
        with self._ledger:
            self._write_down(behaviour, taken, takes)
            self._deciding[which.delivery] -= 1
        if takes:
            self._took(taken, marks)
        elif which in self.cut:
            self._left(marks)
        time.sleep(thoughts[1])
        return f"{which.delivery}.{which.attempt}" if takes else ""

    def is_deciding(self, delivery: int) -> bool:
        """Return whether a request about a delivery has been read and neither taken nor turned away yet."""
        with self._ledger:
            return self._deciding[delivery] > 0

    def _write_down(self, behaviour: Behaviour, taken: Taken, takes: bool) -> None:
        name = _NAMES.get(id(behaviour), "202")
        self.did[name] += 1
        if takes:
            self.taken.append(taken)
        if behaviour.status not in TELLS or behaviour.action not in (Action.ANSWER, Action.DRIP):
            self.cut[taken.which] = name
        if behaviour.action is Action.HANG_READ:
            self.hanging[taken.which.delivery] = taken.which


def _fingerprint(content: bytes) -> str:
    same, changed = NUMBER.subn(b"", content)
    if changed != 1:
        raise ValueError(f"the request names {changed} attempts: {content!r}")
    return hashlib.sha256(same).hexdigest()
