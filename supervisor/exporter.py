"""The exporter: /metrics and the probes, in a process of its own so that no scrape can hurt a worker."""

import logging
import os
import socket
from collections.abc import Sequence

# from pgsupervise.metrics import exposition

from .board import Board
from .context import ChildContext
from .exits import ExitCode
from .slots import Slot

logger = logging.getLogger(__name__)
LIVE_SECONDS = 10.0
"""The parent looks around every second: silent for this long, it hangs."""


class Exporter:
    """Serves what the files of all slots count, what the tables say, and three answers about health."""

    def __init__(self, context: ChildContext, listener: socket.socket, board: Board, slots: Sequence[Slot]) -> None:
        self._context = context
        self._listener = listener
        self._board = board
        self._slots = slots
