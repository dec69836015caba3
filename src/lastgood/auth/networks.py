"""Where a request really came from: its peer, or what trusted proxies say about it.

Comes in: the socket's peer and forwarding headers. Goes out: an address, or None, which lies in no network. The
one rule: a header is believed only as far as each hop that wrote it is trusted; the leftmost entry never is as such.
Follows the custom of X-Forwarded-For and X-Forwarded-Proto; the Forwarded header of RFC 7239 is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::\d{1,5})?")
_V4_WITH_PORT = re.compile(r"([0-9.]+):\d{1,5}")


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The right-most address that is no trusted proxy; the leftmost if all are trusted.

    ``forwarded_for`` holds the X-Forwarded-For lines in the order received. None for a peer without an address
    (a unix socket) and for an entry that is no address: what stands left of it cannot be believed.
    """
    address = parse_address(peer) if peer is not None else None
    joined = ",".join(forwarded_for)
    entries = joined.split(",") if joined.strip() else []
    while address is not None and entries and within(address, trusted):
        address = parse_address(entries.pop())
    return address


def external_scheme(peer: str | None, forwarded_proto: Sequence[str], trusted: Sequence[Network], own: str) -> str:
    """The scheme that the client used: ``own`` unless a trusted peer says http or https.

    Of several values the right-most counts, since that one was written by the peer itself.
    """
    address = parse_address(peer) if peer is not None else None
    if address is None or not within(address, trusted) or not forwarded_proto:
        return own
    told = forwarded_proto[-1].rpartition(",")[2].strip().lower()
    return told if told in ("http", "https") else own


def within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Whether ``address`` lies in one of ``networks``; None lies in none."""
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


def parse_address(text: str) -> Address | None:
    """The address in ``text`` without port, brackets and zone, mapped IPv6 as IPv4; None if there is none."""
    bare = text.strip(" \t")
    if match := _BRACKETED.fullmatch(bare) or _V4_WITH_PORT.fullmatch(bare):
        bare = match[1]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
