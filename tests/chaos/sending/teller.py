"""SendGrid's Event Webhook under fire: signed events of what was taken, twice, in disorder, early, late, some never."""

import heapq
import json
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from itertools import count
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.sending.evidence import Attempt, Taken, Way
from tests.sendgrid_webhook import PATH, Signer, event

NEVER, TWICE, LATE = 0.25, 0.15, 0.3
STEP_SECONDS = 0.2
MOST_AT_ONCE = 500
AGAIN_SECONDS = 0.5
TAKEN = 204


class Teller(threading.Thread):
    """Tells the web server at `url` of what was taken.

    At least one event of each message is told; only after `tell_all` where the message is to be held, so that what is
    held is seen, and for half of those that are resent, since who knows in time that one was taken resends none.
    """

    def __init__(self, url: str, signer: Signer, seed: int, latest: float) -> None:
        super().__init__(name="teller")
        self.counts: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self._address = urlsplit(url).netloc
        self._signer, self._forger = signer, Signer()
        self._rand, self._latest = Random(seed), latest
        self._due: list[tuple[float, int, Attempt, dict[str, Any]]] = []
        self._withheld: list[tuple[Attempt, dict[str, Any]]] = []
        self._untold: Counter[Attempt] = Counter()
        self._posting = 0
        self._lock = threading.Lock()
        self._number = count()
        self._ending = threading.Event()
        self._known: dict[str, str] | None = None

    def took(self, taken: Taken, marks: dict[str, str]) -> None:
        """Plan what is told of a message that was just taken."""
        with self._lock:
            events = self._events(taken, marks)
            if taken.recipient.startswith((Way.HOLD, *[Way.RESEND] * (taken.which.delivery % 2))):
                self._withheld += [(taken.which, told) for told in events]
                return
            for told in events:
                self._plan(taken.which, told)

    def left(self, marks: dict[str, str]) -> None:
        """Lie about a message that was not taken: nobody may believe it."""
        lie = event(marks, "delivered")
        forged = self._post([lie], self._forger)
        foreign = self._post([lie | {"pgs_installation": "another"}], self._signer)
        with self._lock:
            self.counts[f"forged requests answered {forged}"] += 1
            self.counts[f"requests of another installation answered {foreign}"] += 1

    def has_told(self, attempts: list[Attempt]) -> bool:
        """Return whether nothing is left to tell of these attempts."""
        with self._lock:
            return not any(self._untold[which] for which in attempts)

    def pulse(self) -> bool:
        """Tell something of a message of which all is known: the webhook is seen to be alive; return whether it is."""
        if self._known is None:
            return False
        return self._post([event(self._known, "processed", timestamp=int(time.time()) + 1)], self._signer) == TAKEN

    def tell_all(self) -> None:
        """Tell what was withheld."""
        with self._lock:
            for which, told in self._withheld:
                self._plan(which, told)
            self._withheld = []

    @property
    def is_done(self) -> bool:
        """Whether all that was planned has been told."""
        with self._lock:
            return not self._due and not self._posting

    def stop(self) -> None:
        """End the thread. Raises what ended it before its time."""
        self._ending.set()
        self.join()
        if self.failure:
            raise self.failure

    def run(self) -> None:
        """Tell what is due, again and again."""
        try:
            while not self._ending.wait(STEP_SECONDS):
                while chunk := self._take():
                    self._tell(chunk)
        except BaseException as failure:
            self.failure = failure

    def _events(self, taken: Taken, marks: dict[str, str]) -> list[dict[str, Any]]:
        rand = self._rand
        last = rand.choices(["delivered", "bounce", "dropped"], [0.9, 0.05, 0.05])[0]
        kinds = ["processed", *["deferred"] * (rand.random() < 0.1), last]
        kept = [kind for kind in kinds if rand.random() > NEVER] or [rand.choice(kinds)]
        self.counts["events never told"] += len(kinds) - len(kept)
        told = [event(marks, kind, timestamp=int(taken.at), email=taken.recipient) for kind in kept]
        again = [one for one in told if rand.random() < TWICE]
        self.counts["events told twice"] += len(again)
        return [*told, *again]

    def _plan(self, which: Attempt, told: dict[str, Any]) -> None:
        delay = self._rand.random() * self._latest if self._rand.random() < LATE else 0.0
        self._untold[which] += 1
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._number), which, told))

    def _take(self) -> list[tuple[Attempt, dict[str, Any]]]:
        chunk: list[tuple[Attempt, dict[str, Any]]] = []
        with self._lock:
            while self._due and self._due[0][0] <= time.monotonic() and len(chunk) < MOST_AT_ONCE:
                chunk.append(heapq.heappop(self._due)[2:])
            self._rand.shuffle(chunk)
            self._posting = len(chunk)
        return chunk

    def _tell(self, chunk: list[tuple[Attempt, dict[str, Any]]]) -> None:
        status = self._post([told for _, told in chunk], self._signer)
        with self._lock:
            self.counts[f"requests answered {status}"] += 1
            self._posting = 0
            if status == TAKEN:
                self.counts["events told"] += len(chunk)
                self._untold.subtract(which for which, _ in chunk)
                self._known = {name: value for name, value in chunk[0][1].items() if name.startswith("pgs_")}
            else:
                later = time.monotonic() + AGAIN_SECONDS
                for which, told in chunk:
                    heapq.heappush(self._due, (later, next(self._number), which, told))

    def _post(self, events: list[dict[str, Any]], signer: Signer) -> int:
        body = json.dumps(events).encode() + b"\r\n"
        connection = HTTPConnection(self._address, timeout=60)
        try:
            headers = {"Content-Type": "application/json", **signer.headers(body)}
            connection.request("POST", PATH, body, headers)
            answer = connection.getresponse()
            if answer.read():
                raise AssertionError("the webhook's answer has a body")
            return answer.status
        finally:
            connection.close()
