"""How often somebody may try to sign in or to present a token: attempts counted in memory, within fixed bounds.

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

    def pending(self, key: str, now: datetime) -> timedelta | None:
        """As ``wait``, and counts nothing."""
        moments = [moment for moment in self._moments.get(key, ()) if now - self._window < moment <= now]
        return moments[0] + self._window - now if len(moments) >= self._allowed else None

    def forgive(self, key: str) -> None:
        """Forget the attempts of a key that proved itself."""
        self._moments.pop(key, None)


class Guesses:
    """Wrong tokens by address. Who guesses has to wait, whether right or wrong then; tokens that proved themselves
    from this address before go on, so that one broken program locks nobody else out."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wrong(self, address: Address | None, now: datetime) -> timedelta | None:
        """Count a wrong token; how long its address has to wait, if it has to."""
        return self._attempts.wait(address_key(address), now)

    def right(self, token_id: str, address: Address | None, now: datetime) -> timedelta | None:
        """How long a right token has to wait all the same; None lets it pass."""
        proof = token_id, address_key(address)
        if proof not in self._proved and (wait := self._attempts.pending(proof[1], now)) is not None:
            return wait
        self._proved[proof] = None
        self._proved.move_to_end(proof)
        while len(self._proved) > REMEMBERED:
            self._proved.popitem(last=False)
        return None


def address_key(address: Address | None) -> str:
    """One key for all that one caller surely owns: of IPv6 the first 64 bits. None is one caller as well."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
