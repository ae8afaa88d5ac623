"""Windows that cannot be had from what an event or a recipient says: the stated fallback, a count and a warning."""

import logging
import time
from dataclasses import dataclass

from pgsupervise.metrics import recorder
from pgsupervise.metrics.instruments import Unusable

from .texts import shorten

logger = logging.getLogger(__name__)
WARNING_SECONDS = 60.0
_warned: dict[tuple[str, str, Unusable], float] = {}


@dataclass(frozen=True, slots=True)
class Unread:
    """Why there is no such value: it is missing, or it is bad."""

    reason: Unusable
    value: object = None


def fell_back(policy: str, what: str, unread: Unread) -> None:
    """Count that a window of this policy does without `what`, and warn of it, of the same once a minute."""
    recorder.window_fell_back(policy, unread.reason)
    subject, now = (policy, what, unread.reason), time.monotonic()
    if now - _warned.get(subject, -WARNING_SECONDS) < WARNING_SECONDS:
        return
    _warned[subject] = now
    fields = {"policy": policy, "what": what, "reason": unread.reason, "value": shorten(unread.value)}
    words = "window of policy %s has its fallback: %s is %s"
    logger.warning(words, policy, what, unread.reason, extra={"fields": fields})
