"""What SendGrid may do with a request, by the rows of the README's table, and what each row says becomes of it."""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.sendgrid_behaviour import Action, Behaviour

README = Path(__file__).parents[1] / "README.md"
HEAD = "| what SendGrid does | outcome | what becomes of the delivery |"
HTML = "<html><body><h1>Bad gateway</h1></body></html>"
QUOTA = '{"errors": [{"message": "Maximum credits exceeded", "field": null, "help": null}]}'
LARGE = "x" * 20_000_000
"""More than a loopback socket's buffers hold, so that a server which does not read stops the writing."""
DATE = "Thu, 01 Jan 2099 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a row of the table comes true."""

    name: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    text: str = "Three."
    timeout: float = 5.0
    host: str = ""
    """Not the server's, where there is no connection."""
    waits: tuple[float, float] = (0.0, 900.0)
    """By how many seconds, at least and at most, a message that goes again or a channel that rests waits."""


def _statuses(*statuses: int) -> list[Case]:
    return [
        *(Case(str(status), Behaviour(status=status)) for status in statuses),
        *(Case(f"{status} in HTML", Behaviour(status=status, body=HTML)) for status in statuses),
    ]


def _raw(name: str, text: str) -> Case:
    return Case(name, Behaviour(action=Action.RAW, body=text, takes=True))


def _quota(name: str, wait: float, **headers: str) -> Case:
    return Case(f"429, {name}", Behaviour(status=429, headers=headers), waits=(wait - 1, wait))


ROWS: dict[str, Sequence[Case]] = {
    "202": [
        Case("202"),
        Case("202 with a body", Behaviour(body="{}")),
        Case("202 in HTML", Behaviour(body=HTML)),
        Case("202, a byte at a time", Behaviour(action=Action.DRIP), timeout=30.0),
        Case("202 without an id", Behaviour(action=Action.RAW, body="HTTP/1.1 202 Accepted\r\n\r\n")),
        _raw("202 in chunks", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        _raw("202, longer than it says", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n{}" + "x" * 5000),
        _raw("202 behind 100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
        _raw("202, cut within its head", "HTTP/1.1 202 Accepted\r\nX-Mess"),
        Case("202 without an end", Behaviour(action=Action.FLOOD)),
    ],
    "429": [
        _quota("no header", 60),
        _quota("7", 7, **{"Retry-After": "7"}),
        _quota("nothing", 1, **{"Retry-After": "0"}),
        _quota("a day", 900, **{"Retry-After": "86400"}),
        _quota("negative", 60, **{"Retry-After": "-5"}),
        _quota("a date", 900, **{"Retry-After": DATE}),
        _quota("no date", 60, **{"Retry-After": "soon"}),
        _quota("reset long ago", 1, **{"X-RateLimit-Reset": "30"}),
        _quota("reset before all time", 1, **{"X-RateLimit-Reset": "-30"}),
        _quota("reset in ages", 900, **{"X-RateLimit-Reset": "9" * 23}),
        _quota("reset at no number", 60, **{"X-RateLimit-Reset": "nan"}),
        _quota("reset at too many digits", 60, **{"X-RateLimit-Reset": "9" * 5000}),
        Case("429 in HTML", Behaviour(status=429, body=HTML), waits=(59, 60)),
        Case("429 without an end", Behaviour(action=Action.FLOOD, status=429), waits=(59, 60)),
    ],
    "401, 407, any redirect": [
        *_statuses(401, 407),
        Case("quota", Behaviour(status=401, body=QUOTA), waits=(59, 60)),
        *(
            Case(str(status), Behaviour(status=status, headers={"Location": "/page"}), waits=(59, 60))
            for status in (301, 302, 303, 307, 308)
        ),
    ],
    "403": _statuses(403),
    "408, 503": [
        *_statuses(408, 503),
        Case("503 for 20 s", Behaviour(status=503, headers={"Retry-After": "20"}), waits=(19, 20)),
        Case("503 for a day", Behaviour(status=503, headers={"Retry-After": "86400"}), waits=(899, 900)),
        Case("503 for no time", Behaviour(status=503, headers={"Retry-After": "never"}), waits=(0, 2)),
    ],
    "every other 4xx": _statuses(400, 402, 404, 405, 406, 409, 410, 413, 415, 422, 451),
    "every other status": [
        *_statuses(200, 201, 204, 206, 500, 501, 502, 504, 520, 599),
        _raw("103", "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n"),
        Case("500, and it was taken", Behaviour(status=500, takes=True)),
        Case("500 without an end", Behaviour(action=Action.FLOOD, status=500)),
    ],
    "no connection: refused, no such host, no answer": [
        Case("refused", host="http://127.0.0.1:9"),
        Case("no such host", host="http://sendgrid.invalid"),
        Case("no TLS", host="https"),
        Case("connects to nobody", host="full", timeout=0.3),
    ],
    "cut, or too slow, while the request is written": [
        Case("cut", Behaviour(action=Action.HANG_UP_UNREAD), text=LARGE),
        Case("too slow", Behaviour(action=Action.HANG_UNREAD), text=LARGE, timeout=0.3),
    ],
    "cut before the answer, or within its body": [
        Case("before it reads", Behaviour(action=Action.HANG_UP_UNREAD)),
        Case("hung up", Behaviour(action=Action.HANG_UP)),
        _raw("within the status", "HTTP/1.1 20"),
        Case("half of a 202", Behaviour(action=Action.HALF_REPLY)),
        Case("half of a 429", Behaviour(action=Action.HALF_REPLY, status=429)),
        Case("half of a 400", Behaviour(action=Action.HALF_REPLY, status=400)),
        _raw("within a chunk", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx"),
        _raw("without the last chunk", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    ],
    "no whole answer in time: it hangs, or drips": [
        Case("hangs and reads nothing", Behaviour(action=Action.HANG_UNREAD), timeout=0.3),
        Case("hangs", Behaviour(action=Action.HANG_READ), timeout=0.3),
        Case("drips", Behaviour(action=Action.DRIP, headers={"X-Long": "x" * 200}), timeout=0.3),
    ],
    "an answer that is no HTTP": [
        _raw("no status", "hello\r\n\r\n"),
        _raw("an odd status", "HTTP/1.1 two hundred\r\n\r\n"),
        _raw("a line without an end", "HTTP/1.1 202 Accepted\r\nX-Long: " + "x" * 70_000),
        _raw("too many lines", "HTTP/1.1 202 Accepted\r\n" + "X-Many: x\r\n" * 200 + "\r\n"),
        _raw("odd chunks", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    ],
}


def stated() -> dict[str, tuple[str, str]]:
    """Return outcome and effect by what SendGrid does, as the README states them."""
    _, _, rest = README.read_text().partition(HEAD)
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    cells = (re.fullmatch(r"\| (.+?) \| (.+?) \| (.+) \|", line) for line in lines)
    return {found[1]: (found[2], found[3]) for found in cells if found}


@contextmanager
def host_of(case: Case, url: str) -> Iterator[str]:
    """Yield where the case's request goes."""
    match case.host:
        case "full":
            with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
                address = server.getsockname()
                with socket.create_connection(address):  # takes the only place in the queue
                    yield f"http://127.0.0.1:{address[1]}"
        case "https":
            yield url.replace("http://", "https://")
        case host:
            yield host or url
