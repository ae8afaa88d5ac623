"""Which addresses on the network a URL that somebody has given us may lead to.

Only what IANA has given out for public use. Addresses that hold another one (IPv4-mapped, 6to4, Teredo, NAT64) must
hold a public one too: a gateway on the way would go on to it.
"""

import ipaddress
from collections.abc import Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_SHARED_ANYCAST = ipaddress.IPv4Network("192.88.99.0/24")  # RFC 7526: the way into 6to4


def may_reach(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Return whether a connection may be opened to the address: a public one, or one in an allowed network."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return may_reach(address.ipv4_mapped, allowed)
    if any(address in network for network in allowed):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved or address in _SHARED_ANYCAST)
    if address in _NAT64:
        return all(may_reach(one, allowed) for one in _held_by(address))
    is_public = address in _GLOBAL_UNICAST and address.is_global and not address.is_multicast
    return (is_public or bool(address.sixtofour)) and all(may_reach(one, allowed) for one in _held_by(address))


def _held_by(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if address in _NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour:
        yield address.sixtofour
    yield from address.teredo or ()
