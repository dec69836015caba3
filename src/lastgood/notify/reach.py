"""Where a notice may be sent: a name is resolved, every address checked, and only then anybody is connected to.

Comes in: a host name from a channel's address. Goes out: addresses that may be connected to, to be used as they are,
so that the name cannot come to mean something else in between. The one rule: one refused address refuses the name.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from lastgood.errors import DeliveryError
from lastgood.notices.addresses import Address, Network, refusal
from lastgood.notify.threads import Threads

MOST_ADDRESSES = 4
"""So many addresses of one name are tried."""


@dataclass(frozen=True, slots=True)
class Reach:
    """``allowed`` networks may always be reached, ``private`` ones by default. ``threads`` is where names wait."""

    threads: Threads
    allowed: Sequence[Network] = ()
    private: bool = True

    async def addresses(self, host: str, port: int) -> list[str]:
        """What the name leads to. Raises DeliveryError for a name without addresses and for one that is refused."""
        try:
            found = await self.threads.run(_resolve, host, port)
        except (OSError, UnicodeError) as error:
            raise DeliveryError(f"The name {host} cannot be resolved ({_reason(error)}); check it.") from error
        for address in found:
            why = refusal(address, self.allowed, self.private)
            if why is not None:
                setting = "notices.private_networks" if why.endswith("network") else "notices.allowed_networks"
                raise DeliveryError(
                    f"{host} leads to {address}, {why}, where no notice is sent; if it is meant, set {setting}."
                )
        return [str(address) for address in found[:MOST_ADDRESSES]]


def _resolve(host: str, port: int) -> list[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(text) for text in dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
