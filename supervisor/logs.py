"""Log lines as key=value pairs, with the slot that wrote them."""

import logging
import sys
import time

_slot = "supervisor"


def identify(slot: str) -> None:
    """Name the process in every line that it logs from now on."""
    global _slot
    _slot = slot


class KeyValueFormatter(logging.Formatter):
    """`at=... level=... slot=... event="..." key=value`; the keys come from `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; an exception follows on lines of its own."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        pairs = {"at": at, "level": record.levelname.lower(), "slot": _slot, "event": record.getMessage()}
        pairs.update(getattr(record, "fields", {}))
        line = " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _quoted(value: object) -> str:
    text = str(value)
    if text and not any(character in text for character in ' "=\n\r\t'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def configure(level: str) -> None:
    """Log everything of pgsupervise to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValueFormatter())
    logger = logging.getLogger("pgsupervise")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # It warns, in a format of its own, of what it also raises.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
