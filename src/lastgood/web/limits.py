"""How often somebody may try to sign in: attempts counted in memory, within fixed bounds.

Comes in: a key (an address, a name) and a moment. Goes out: None, or how long to wait. The one rule: an attempt
counts when it begins, so that many at once get no further than one after the other.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_network

from lastgood.auth.networks import Address

REMEMBERED = 10_000


class Attempts:
    """At most ``allowed`` attempts a key within ``window``; the keys unheard for longest are forgotten first."""

    def __init__(self, allowed: int, window: timedelta) -> None:
        self._allowed = allowed
        self._window = window
        self._moments: OrderedDict[str, deque[datetime]] = OrderedDict()

    def wait(self, key: str, now: datetime) -> timedelta | None:
        """How long this key has to wait; None counts the attempt and lets it pass."""
        moments = self._moments.setdefault(key, deque())
        self._moments.move_to_end(key)
        while moments and not now - self._window < moments[0] <= now:  # a clock set back must lock nobody out
            moments.popleft()
        if len(moments) >= self._allowed:
            return moments[0] + self._window - now
        moments.append(now)
        while len(self._moments) > REMEMBERED:
            self._moments.popitem(last=False)
        return None

    def forgive(self, key: str) -> None:
        """Forget the attempts of a key that proved itself."""
        self._moments.pop(key, None)


def address_key(address: Address | None) -> str:
    """One key for all that one caller surely owns: of IPv6 the first 64 bits. None is one caller as well."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
