"""Reads a file of events as a whole, before anything is done with any of them: a broken file loads nothing."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from pgsupervise.django_app.texts import check_text, shorten

COLUMNS = ("at", "change", "actor", "recipient", "object")
LIMITS = {"change": 100, "actor": 320, "recipient": 320, "object": 500}
"""Characters; but for `change` these are what `notify()` accepts."""
YEARS = (1900, 2199)
LONGEST_LINE = 100_000
GZIP = b"\x1f\x8b"


class FileEvent(NamedTuple):
    """One row of the file."""

    at: datetime
    change: str
    actor: str
    recipient: str
    object: str


class BrokenFile(Exception):  # noqa: N818 - named for what happened
    """The file cannot be replayed; the text is `FILE:LINE: reason`, or `FILE: reason` where no line is at fault."""


def read_events(path: Path, limit: int | None = None) -> list[FileEvent]:
    """Return the file's first `limit` events, or all of them. Raises BrokenFile for the first fault."""
    try:
        with _opened(path) as file:
            return _Reader(path, file).events(limit)
    except OSError as error:
        raise BrokenFile(f"{path}: {(error.strerror or str(error)).lower()}") from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, compressed or not, by what it begins with and not by its name."""
    with path.open("rb") as raw:
        start = raw.read(len(GZIP))
        raw.seek(0)
        if start != GZIP:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield cast(BinaryIO, unpacked)


class _Reader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._lines = 0

    def events(self, limit: int | None) -> list[FileEvent]:
        rows = self._rows()
        header = next(rows, [])
        if tuple(header) != COLUMNS:
            raise BrokenFile(f"{self._path}:1: the header is not {','.join(COLUMNS)}")
        events: list[FileEvent] = []
        for row in islice(rows, limit):
            try:
                event = _event(row)
                if events and event.at < events[-1].at:
                    raise ValueError(f"at goes back to {row[0]}: sort the rows by at")
            except ValueError as error:
                raise self._fault(str(error)) from error
            events.append(event)
        if not events:
            raise BrokenFile(f"{self._path}: there is no event after the header")
        return events

    def _rows(self) -> Iterator[list[str]]:
        reader = csv.reader(self._text(), strict=True)
        while True:
            self._row_line = self._lines + 1  # of a row that a missing quote makes swallow the rest: where it began
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._fault(str(error)) from error
            yield row

    def _text(self) -> Iterator[str]:
        """Yield the file's lines; decoded one by one, so that a fault has its line's number."""
        while True:
            try:
                raw = self._file.readline(LONGEST_LINE)
                text = raw.decode("utf-8-sig" if self._lines == 0 else "utf-8")
            except UnicodeDecodeError as error:
                raise self._fault(f"byte {error.start + 1} of the line is not UTF-8") from error
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise self._fault(f"the compressed file is damaged or cut off ({error})") from error
            if not raw:
                return
            if len(raw) == LONGEST_LINE:
                raise self._fault(f"the line is longer than {LONGEST_LINE} bytes")
            self._lines += 1
            yield text

    def _fault(self, reason: str) -> BrokenFile:
        return BrokenFile(f"{self._path}:{self._row_line}: {reason}")


def _event(row: list[str]) -> FileEvent:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} columns instead of {len(COLUMNS)}" if row else "the line is empty")
    for name, value in zip(COLUMNS[1:], row[1:], strict=True):
        check_text(value, name, LIMITS[name], required=name == "recipient")
    return FileEvent(_time(row[0]), *row[1:])


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"at is {shorten(text)}: it must be a time such as 2009-05-19T10:31:13Z") from None
    if at.utcoffset() is None:
        raise ValueError(f"at is {shorten(text)} without a time zone: add Z for UTC")
    # Beyond that it is a mistake, and the end of its window might be no time that Python knows.
    if not YEARS[0] <= at.year <= YEARS[1]:
        raise ValueError(f"at is {shorten(text)}: its year is not from {YEARS[0]} to {YEARS[1]}")
    return at.astimezone(UTC)
