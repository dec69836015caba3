"""The door of what scrapers read: the gate of ``auth/gate.py`` put before an ASGI request.

Comes in: a request's scope. Goes out: an admission, or the answer that sends the caller away. The one rule: every
path that tells machines of the fleet without a sign-in goes through here.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lastgood.auth.gate import Admission, FindToken, Gate, no_tokens
from lastgood.web.asgi import Scope, Send, header_lines, say

REFUSALS = {
    401: "Not authorized.",
    403: "This token may not read metrics.",
    404: "There is no such page.",
}

_log = structlog.get_logger("lastgood.web.scrape")


class Door:
    """``tokens_exist`` and ``find_token`` look API tokens up in memory (``auth.gate``)."""

    def __init__(
        self, gate: Gate, tokens_exist: Callable[[], bool] = lambda: False, find_token: FindToken = no_tokens
    ) -> None:
        self._gate, self._tokens_exist, self._find_token = gate, tokens_exist, find_token

    def admit(self, scope: Scope) -> Admission:
        client = scope.get("client")
        return self._gate.admit(
            header_lines(scope, b"authorization"),
            client[0] if client else None,
            header_lines(scope, b"x-forwarded-for"),
            tokens_exist=self._tokens_exist(),
            find_token=self._find_token,
        )

    async def turn_away(self, scope: Scope, send: Send, admission: Admission) -> None:
        _log.info("scrape refused", status=admission.status, reason=admission.reason)
        challenge = [("www-authenticate", "Bearer")] if admission.www_authenticate else []
        await say(scope, send, admission.status, REFUSALS[admission.status], challenge)
