"""Which addresses a notice may be sent to: a person who may add a channel must not reach the hub's own surroundings.

Comes in: an address to which a name was just resolved. Goes out: why it is refused, or None. The one rule: what an
address wraps (IPv4 in IPv6) counts as what is wrapped; ``allowed`` networks are the operator's word and come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"))
)
"""Where clouds tell machines their credentials; some are no link-local addresses."""

_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
_SHARED = ip_network("100.64.0.0/10")


def refusal(address: Address, allowed: Sequence[Network], private: bool) -> str | None:
    """Why this address is refused; None if it may be connected to. ``private`` lets into private networks."""
    real = unwrapped(address)
    if any(one.version == network.version and one in network for network in allowed for one in {address, real}):
        return None
    if real in METADATA:
        return "a cloud's metadata service"
    if real.is_loopback:
        return "this machine itself"
    if real.is_link_local:
        return "a link-local address"
    if real.is_unspecified or real.is_multicast or (real.version == 4 and real.is_reserved):
        return "no address of a single machine"
    if not private and (real.is_private or not real.is_global or (real.version == 4 and real in _SHARED)):
        return "in a private network"
    return None


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does; zones are left out."""
    if isinstance(address, IPv4Address):
        return address
    bare = IPv6Address(int(address))
    if bare.ipv4_mapped is not None:
        return bare.ipv4_mapped
    if bare.sixtofour is not None:
        return bare.sixtofour
    if bare in _NAT64 or (bare in _COMPATIBLE and int(bare) > 1):
        return IPv4Address(int(bare) & 0xFFFFFFFF)
    return bare
