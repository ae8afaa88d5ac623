"""HTTP POST to a URL that somebody else may have chosen: only to addresses that are allowed, and no further.

The name is resolved once, what it resolves to is checked, and the connection goes to the very address that was
checked: between two look-ups a name may change. No redirect is followed and no proxy asked, since either would go on to
an address that nobody checks.
"""

import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from django.utils.datastructures import CaseInsensitiveMapping

from pgsupervise.django_app.texts import one_line

from .addresses import Network, may_reach
from .deadline import PromptResponse

LARGEST_ANSWER = 64 * 1024
"""Bytes; what comes behind them is not read."""
LONGEST_WORDS = 500
PORTS = {"http": 80, "https": 443}
LOWEST_OTHER_PORT = 1024
"""Below it, but for 80 and 443, are services of machines: mail, shells, directories."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class UnreachableError(ValueError):
    """The URL, or the address that it leads to, is none to which anything is sent. Its words do not show the URL."""


class UnsentError(OSError):
    """The request was not written to its end, so nobody has taken it."""


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allowed: Sequence[Network] = ()
) -> Answer:
    """Send a request and return the answer.

    `timeout`, in seconds, bounds each attempt to connect, each write, and the reply as a whole; not the look-up of the
    name, which is the resolver's business. Raises UnreachableError, UnsentError, and OSError or HTTPException where a
    complete request has no complete answer.
    """
    target = _target(url)
    connection = _connect(target, _checked(target, allowed), timeout)
    try:
        # What is not allowed in a request's first line is escaped; what is escaped already stays.
        where = quote(f"{target.path or '/'}?{target.query}".rstrip("?"), safe="/%:@!$&'()*+,;=~?")
        try:
            connection.request("POST", where, body, dict(headers))
        except (OSError, HTTPException, ValueError) as failure:
            raise UnsentError(f"{type(failure).__name__} while writing the request") from failure
        reply = connection.getresponse()
        return Answer(reply.status, CaseInsensitiveMapping(reply.headers.items()), reply.read(LARGEST_ANSWER))
    finally:
        connection.close()


def words_of(answer: Answer, url: str) -> str:
    """Return the status and the beginning of what was said, on one line; pages of errors like to repeat the path."""
    said = answer.body.decode(errors="replace")
    target = urlsplit(url)
    for secret in (url, f"{target.path}?{target.query}", target.path, target.query):
        if len(secret) > 1:
            said = said.replace(secret, "(path)")
    return one_line(f"{answer.status} {said[:LONGEST_WORDS]}")  # cut last: half a secret would not be found


def _target(url: str) -> SplitResult:
    """Return the URL's parts. Raises UnreachableError for anything but http and https to a host on a fitting port."""
    try:
        target = urlsplit(url)
        port = target.port
    except ValueError:
        raise UnreachableError("the URL is none") from None
    if target.scheme not in PORTS or not target.hostname:
        raise UnreachableError("the URL must begin with https:// or http:// and a host")
    if target.username is not None or target.password is not None:
        raise UnreachableError("the URL must not have a user in it")
    if port is not None and port not in PORTS.values() and port < LOWEST_OTHER_PORT:
        raise UnreachableError(f"the URL's port is {port}: use 80, 443 or one from {LOWEST_OTHER_PORT} on")
    return target


def _checked(target: SplitResult, allowed: Sequence[Network]) -> list[tuple[Any, ...]]:
    """Return what the name resolves to and may be reached. Raises UnreachableError where that is nothing."""
    host = target.hostname or ""
    try:
        host = host if host.isascii() else host.encode("idna").decode()
        found = socket.getaddrinfo(host, target.port or PORTS[target.scheme], type=socket.SOCK_STREAM)
    except UnicodeError:
        raise UnreachableError("the URL's host is none") from None
    except OSError as failure:
        raise UnsentError(f"the host's name does not resolve: {failure}") from None
    fitting = [info for info in found if may_reach(_address(info[4][0]), allowed)]
    if not fitting:
        raise UnreachableError("the URL leads to an address that is not public: see WEBHOOK_ALLOWED_NETWORKS")
    return fitting


def _address(text: str | int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(str(text).partition("%")[0])


def _connect(target: SplitResult, found: Sequence[tuple[Any, ...]], timeout: float) -> HTTPConnection:
    """Open a connection to the first of the addresses that answers. Raises UnsentError where none does."""
    last: OSError | None = None
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
            return _over(sock, target, timeout)
        except OSError as failure:
            sock.close()
            last = failure
    raise UnsentError(f"{type(last).__name__}: {last}")


def _over(sock: socket.socket, target: SplitResult, timeout: float) -> HTTPConnection:
    host = (target.hostname or "").encode("idna").decode() if not (target.hostname or "").isascii() else target.hostname
    kind = HTTPSConnection if target.scheme == "https" else HTTPConnection
    connection = kind(host or "", target.port, timeout=timeout)
    # With a socket of its own it looks no name up.
    connection.sock = _tls().wrap_socket(sock, server_hostname=host) if target.scheme == "https" else sock
    connection.response_class = PromptResponse
    return connection


@lru_cache
def _tls() -> ssl.SSLContext:
    tls = ssl.create_default_context()
    tls.set_alpn_protocols(["http/1.1"])
    return tls
