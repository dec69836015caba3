"""The door of what scrapers read: the gate of ``auth/gate.py`` put before an ASGI request.

Comes in: a request's scope. Goes out: an admission, or the answer that sends the caller away. The one rule: every
path that tells machines of the fleet without a sign-in goes through here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from lastgood.auth.gate import STATIC, Admission, FindToken, Gate, no_tokens
from lastgood.auth.networks import client_address
from lastgood.clock import Clock, now
from lastgood.web.asgi import Scope, Send, header_lines, say
from lastgood.web.limits import Attempts, Guesses

REFUSALS = {
    401: "Not authorized.",
    403: "This token may not read metrics.",
    404: "There is no such page.",
    429: "Too many wrong tokens came from this address; wait and try again.",
}
OF_HOSTS = "This token is for single hosts, and a scrape is of the whole fleet; make one without hosts."

_log = structlog.get_logger("lastgood.web.scrape")


def guesses() -> Guesses:
    """Wide enough for a scraper with an old token every five seconds, and nothing to whoever guesses 190 bits."""
    return Guesses(Attempts(100, timedelta(minutes=5)))


class Door:
    """``tokens_exist`` and ``find_token`` look API tokens up in memory (``auth.gate``); ``used`` is told the id and
    the address of one that was right. ``guessing`` is shared with the other door that takes tokens."""

    def __init__(
        self,
        gate: Gate,
        tokens_exist: Callable[[], bool] = lambda: False,
        find_token: FindToken = no_tokens,
        *,
        used: Callable[[str, str], None] = lambda _id, _address: None,
        guessing: Guesses | None = None,
        clock: Clock = now,
    ) -> None:
        self._gate, self._tokens_exist, self._find_token = gate, tokens_exist, find_token
        self._used, self._guessing, self._clock = used, guessing or guesses(), clock

    def admit(self, scope: Scope) -> Admission:
        client = scope.get("client")
        peer, forwarded = client[0] if client else None, header_lines(scope, b"x-forwarded-for")
        admission = self._gate.admit(
            header_lines(scope, b"authorization"),
            peer,
            forwarded,
            tokens_exist=self._tokens_exist(),
            find_token=self._find_token,
        )
        if not admission.guessed and admission.presented is None:
            return admission
        address = client_address(peer, forwarded, self._gate.trusted_proxies)
        if admission.presented is None:
            wait = self._guessing.wrong(address, self._clock())
        else:
            wait = self._guessing.right(admission.presented, address, self._clock())
        if wait is not None:
            return replace(admission, status=429, reason="too many wrong tokens", www_authenticate=False)
        if admission.presented not in (None, STATIC):
            self._used(admission.presented or "", str(address or ""))
        return admission

    async def turn_away(self, scope: Scope, send: Send, admission: Admission) -> None:
        _log.info("scrape refused", status=admission.status, reason=admission.reason)
        headers = [("www-authenticate", "Bearer")] if admission.www_authenticate else []
        if admission.status == 429:
            headers = [("retry-after", "60")]
        sentence = OF_HOSTS if admission.of_hosts else REFUSALS[admission.status]
        await say(scope, send, admission.status, sentence, headers)
