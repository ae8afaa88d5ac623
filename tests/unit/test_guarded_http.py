"""A URL that somebody has given us reaches only what is public, whatever it is written like and resolves to."""

import ipaddress
import socket
from typing import Any

import pytest

from pgsupervise.django_app.channels.addresses import may_reach
from pgsupervise.django_app.channels.guarded_http import UnreachableError, UnsentError, post
from tests.hook_server import HookServer

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - an address that must not be reached
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2001:0:0a00:1::1",
        "2002:0a00:0001::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ],
)
def test_what_is_not_public_is_not_reached(address: str) -> None:
    assert not may_reach(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"]
)
def test_what_is_public_is(address: str) -> None:
    assert may_reach(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("address", "network", "may"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),
        ("10.2.0.1", "10.1.0.0/16", False),
        ("64:ff9b::10.1.2.3", "10.1.0.0/16", True),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "10.0.0.0/8", False),
    ],
)
def test_networks_that_are_allowed_are_reached(address: str, network: str, may: bool) -> None:
    assert may_reach(ipaddress.ip_address(address), [ipaddress.ip_network(network)]) is may


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com",
        "https://",
        "https:///path",
        "//example.com",
        "example.com",
        "http://user:secret@example.com/",
        "http://example.com:25/",
        "http://example.com:22/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://[::1",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]:8080/",
        "http://localhost/",
        "http://\u2460\u2461\u2466.0.0.1/",
    ],
)
def test_a_url_that_leads_inside_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UnreachableError) as refused:
        post(url, b"{}", {}, timeout=5.0)
    assert "secret" not in str(refused.value)


def resolving_to(*addresses: str) -> Any:
    """Return a resolver whose next answer is the next address: a name that changes between two look-ups."""
    answers = iter(addresses)

    def resolve(host: str, port: int, **more: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    return resolve


def test_the_address_that_was_checked_is_the_one_that_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        reached.append(address)
        raise ConnectionRefusedError("as far as it goes")

    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("1.1.1.1", "127.0.0.1"))
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(UnsentError):
        post("http://rebinding.example.com/", b"{}", {}, timeout=5.0)
    assert reached == [("1.1.1.1", 80)]


def test_of_several_addresses_only_those_that_may_be_reached_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **more: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, port)) for at in ("10.0.0.1", "127.0.0.1")]

    with HookServer() as server:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        answer = post(f"http://two.example.com:{server.server_port}/x", b"{}", {}, timeout=20.0, allowed=LOOPBACK)
        assert (answer.status, len(server.requests)) == (200, 1)
        assert server.requests[0].headers["host"] == f"two.example.com:{server.server_port}"


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with HookServer() as server:
        assert post(server.url, b"{}", {}, timeout=20.0, allowed=LOOPBACK).status == 200


def test_a_name_that_does_not_resolve_may_do_so_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*given: Any, **more: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(UnsentError, match="does not resolve"):
        post("https://example.com/", b"{}", {}, timeout=5.0)


def test_a_certificate_of_another_name_is_not_trusted() -> None:
    with HookServer() as server, pytest.raises(UnsentError, match=r"SSL|Error"):
        post(server.url.replace("http:", "https:"), b"{}", {}, timeout=5.0, allowed=LOOPBACK)
