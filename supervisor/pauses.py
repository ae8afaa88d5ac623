"""Pauses of channels, as one worker finds them out, hears of them, and ends them.

A provider that wants a rest (key, quota, block, rate) is given it by the whole cluster: at once by this supervisor's
processes, through the board, and within about a second by the others, through the table. When it is over, one message
goes on trial, and all the others once that was answered as in good times.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from pgsupervise.metrics import recorder
from pgsupervise.partitions import channels
from pgsupervise.partitions.channels import PausedChannel
from pgsupervise.partitions.connection import Connection

from .channel_board import ChannelBoard, Stand
from .link import Link
from .outcomes import Accepted, Forbidden, NotSent, Paused, Refused, SendOutcome, Unknown

logger = logging.getLogger(__name__)
FORBIDDEN_SECONDS = 60.0
NEXT_TRIAL_SECONDS = 15.0
"""When a trial brought no answer, or one that says nothing about the channel."""
TRIAL_LEEWAY_SECONDS = 30.0
"""How much longer than a call the right to try is somebody's."""
ASK_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Found:
    channel: str
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class _Passed:
    channel: str


class Pauses:
    """For all threads of a worker; what asks for a connection is for the flusher alone. `whose` names the worker."""

    def __init__(
        self,
        board: ChannelBoard,
        me: UUID,
        whose: str,
        longest_call: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._me, self._whose = me, whose
        self._trial_seconds = longest_call + TRIAL_LEEWAY_SECONDS
        self._clock = clock
        self._news: deque[_Found | _Passed] = deque()
        self._lock = threading.Lock()
        self._trials: dict[str, int | None] = {}
        """The channels on which this worker may try one message: which it is, once that is begun."""

    def stand(self, channel: str) -> Stand:
        """Return whether messages go by a channel. On trial is one that this worker may try."""
        now, row = self._clock(), self._board.row(channel)
        stand = row.stand(now)
        if stand != Stand.TRIAL:
            return stand
        may_try = self._trials[channel] is None if channel in self._trials else row.trial_until <= now
        return Stand.TRIAL if may_try else Stand.PAUSED

    def may_begin(self, channel: str, message: int) -> bool:
        """Return whether a message may be begun; that on trial is begun with it."""
        match self._board.row(channel).stand(self._clock()):
            case Stand.OPEN:
                return True
            case Stand.PAUSED:
                return False
            case Stand.TRIAL:
                with self._lock:
                    if channel not in self._trials or self._trials[channel] not in (None, message):
                        return False
                    self._trials[channel] = message
                    return True

    def left(self, channel: str, message: int) -> None:
        """Take note of a message that was not begun in the end."""
        with self._lock:
            if self._trials.get(channel) == message:
                self._trials[channel] = None

    def pause(self, channel: str, seconds: float, reason: str) -> None:
        """Stop a channel everywhere."""
        now = self._clock()
        if self._board.row(channel).pause(now, now + seconds):
            recorder.channel_paused(channel)
            fields = {"channel": channel, "seconds": seconds, "reason": reason}
            logger.warning("channel paused", extra={"fields": fields})
        self._news.append(_Found(channel, now + seconds, reason))

    def ended(self, channel: str, message: int, outcome: SendOutcome) -> bool:
        """Learn from what became of a message; return whether, forbidden as it was, that is the channel's fault.

        It is where three messages in a row were forbidden, and where it was the one on trial.
        """
        row = self._board.row(channel)
        with self._lock:
            on_trial = self._trials.get(channel) == message
            if on_trial:
                del self._trials[channel]
        match outcome:
            case Accepted():
                row.trust()
            case Paused(reason, retry_after):
                self.pause(channel, retry_after.total_seconds(), reason)
            case Forbidden(reason) if row.suspect(message) or on_trial:
                self.pause(channel, FORBIDDEN_SECONDS, reason)
                return True
        if on_trial:
            self._judge_trial(channel, outcome)
        return False

    def _judge_trial(self, channel: str, outcome: SendOutcome) -> None:
        match outcome:
            case Accepted() | Refused():
                self._resume(channel)
            case NotSent(reason) | Unknown(reason):
                self.pause(channel, NEXT_TRIAL_SECONDS, f"the trial: {reason}")

    def _resume(self, channel: str) -> None:
        self._board.row(channel).open(self._clock())
        self._news.append(_Passed(channel))
        logger.warning("channel resumed", extra={"fields": {"channel": channel}})

    def take_trial(self, connection: Connection, channel: str) -> bool:
        """Ask for the right to try one message; it is to be used or given back."""
        row = self._board.row(channel)
        taken = channels.take_trial(connection, channel, self._me, self._trial_seconds)
        row.trial_until = self._clock() + (self._trial_seconds if taken else ASK_AGAIN_SECONDS)
        with self._lock:
            if self._trials.get(channel) is not None:
                return False  # it is under way
            self._trials.pop(channel, None)
            if taken:
                self._trials[channel] = None
        return taken

    def drop_trials(self, link: Link, used: Collection[str] = ()) -> None:
        """Give the right back on channels that had no message to try."""
        with self._lock:
            unused = [channel for channel, message in self._trials.items() if message is None and channel not in used]
        for channel in unused:
            with self._lock:
                self._trials.pop(channel, None)
            channels.drop_trial(link.connection, channel, self._me)
            self._board.row(channel).trial_until = self._clock() + ASK_AGAIN_SECONDS

    def sync(self, link: Link) -> None:
        """Tell the table what was found out, and read it where it is time."""
        while self._news:
            self._tell(link.connection, self._news[0])
            self._news.popleft()
        began = self._clock()
        if self._board.take_reading(began):
            self._read(link.connection, began)

    def _tell(self, connection: Connection, news: _Found | _Passed) -> None:
        match news:
            case _Found(channel, until, reason):
                seconds = max(0.0, until - self._clock())
                channels.pause_channel(connection, channel, seconds, reason, self._whose)
            case _Passed(channel):
                channels.pass_trial(connection, channel, self._me, self._whose)
        self._board.row(news.channel).told(self._clock())

    def _read(self, connection: Connection, began: float) -> None:
        found = {row.name: row for row in channels.read_channels(connection)}
        now = self._clock()
        for name in self._board:
            row, told = self._board.row(name), found.get(name, PausedChannel(name))
            was = row.stand(now)
            until = float("inf") if told.is_held else now + told.seconds
            paused = told.is_held or told.is_paused
            row.believe(began, paused=paused, until=until, trial_until=now + told.trial_seconds)
            if (was == Stand.OPEN) != (row.stand(now) == Stand.OPEN):
                words = "channel opened elsewhere" if was != Stand.OPEN else "channel paused elsewhere"
                logger.warning(words, extra={"fields": {"channel": name, "by_hand": told.is_held}})
