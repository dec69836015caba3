"""Who may scrape: the one decision before `/metrics`, for the hub and for every stand-alone exporter.

Comes in: settings, the request's peer and headers, and a look-up of API tokens. Goes out: an ``Admission`` with
the status to answer. The one rule: networks are asked first and always, and nothing is admitted that no rule names.
Follows RFC 6750 (bearer tokens in the header) and RFC 9110 (a 401 carries a challenge).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lastgood.auth.networks import Network, client_address, within
from lastgood.secret import Secret

METRICS_READ = "metrics.read"
"""The permission that an API token needs to scrape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """What the gate needs to know of an API token; ``live`` means neither expired nor revoked, ``of_hosts`` that it
    is for single hosts and not for the whole fleet, of which every scrape is."""

    id: str
    live: bool
    permissions: frozenset[str]
    of_hosts: bool = False


STATIC = "static token"

FindToken = Callable[[str], TokenView | None]
"""Finds the API token that a presented text belongs to, in memory, by its keyed digest; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The status to answer; ``reason`` is for the log, and ``www_authenticate`` asks for the Bearer challenge.
    ``presented`` says whose token was right (an API token's id, or ``STATIC``), ``guessed`` that one was wrong."""

    status: int
    reason: str
    www_authenticate: bool = False
    presented: str | None = None
    guessed: bool = False
    of_hosts: bool = False

    @property
    def granted(self) -> bool:
        return self.status == 200


def no_tokens(_presented: str) -> TokenView | None:
    """The look-up where no API tokens exist."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The rules in force. An exporter is a gate with ``auth=False``: open until a token or networks are set."""

    token: Secret | None = None
    networks: tuple[Network, ...] = ()
    auth: bool = True
    trusted_proxies: tuple[Network, ...] = ()

    def mounted(self, tokens_exist: bool) -> bool:
        """Whether the page exists at all; ``tokens_exist`` counts unrevoked tokens that may read metrics."""
        return self.token is not None or bool(self.networks) or not self.auth or tokens_exist

    @property
    def asks_token(self) -> bool:
        """Whether a bearer token is needed, given that the address is right."""
        return self.token is not None or (not self.networks and self.auth)

    def admit(
        self,
        authorization: Sequence[str],
        peer: str | None,
        forwarded_for: Sequence[str] = (),
        *,
        tokens_exist: bool = False,
        find_token: FindToken = no_tokens,
    ) -> Admission:
        """Whether this request may scrape; headers come as lists of lines, in the order received."""
        if not self.mounted(tokens_exist):
            return Admission(status=404, reason="no token, no networks and no API token are configured")
        if self.networks:
            address = client_address(peer, forwarded_for, self.trusted_proxies)
            if not within(address, self.networks):
                return _unauthorised(f"{address or 'an unknown address'} is outside metrics.networks")
        if not self.asks_token:
            return Admission(status=200, reason="address" if self.networks else "public")
        presented = bearer(authorization)
        if presented is None:
            return _unauthorised("no bearer token")
        return self._by_token(presented, find_token)

    def _by_token(self, presented: str, find_token: FindToken) -> Admission:
        if self.token is not None and same_text(self.token.reveal(), presented):
            return Admission(status=200, reason=STATIC, presented=STATIC)
        found = find_token(presented)
        if found is None:
            return replace(_unauthorised("wrong bearer token"), guessed=True)
        return replace(_by_api_token(found), presented=found.id)


def _by_api_token(found: TokenView) -> Admission:
    if not found.live:
        return _unauthorised(f"API token {found.id} is expired or revoked")
    if METRICS_READ not in found.permissions:
        return Admission(status=403, reason=f"API token {found.id} lacks {METRICS_READ}")
    if found.of_hosts:
        return Admission(status=403, reason=f"API token {found.id} is for single hosts", of_hosts=True)
    return Admission(status=200, reason=f"API token {found.id}")


def bearer(authorization: Sequence[str]) -> str | None:
    """The token of the one Authorization line; None for no line, several lines, or another scheme."""
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].strip(" \t").partition(" ")
    return token.strip(" \t") or None if scheme.lower() == "bearer" else None


def same_text(known: str, presented: str) -> bool:
    """Equality whose time tells nothing about ``known``, not even its length."""
    return hmac.compare_digest(_digest(known), _digest(presented))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _unauthorised(reason: str) -> Admission:
    return Admission(status=401, reason=reason, www_authenticate=True)
