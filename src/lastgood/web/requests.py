"""Counts what was asked of the hub's port: by method, route and status, never by what strangers made up.

Comes in: requests as the front of the application hands them on. Goes out: numbers for ``metrics/dockmesh.py``. The
one rule: a path counts as the template of its route, or as ``unmatched``, so that the keys are bounded. A WebSocket
counts once, when it is decided: 101 if it was taken. Follows ASGI 3.0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lastgood.web.asgi import App, Message, Receive, Scope, Send

UNMATCHED = "unmatched"
OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_ANSWERS = frozenset({"http.response.start", "websocket.http.response.start"})


class Requests:
    """Counts since this process began, by ``METHOD STATUS PATH``."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """As they are now; later requests do not change it."""
        return self._counts.copy()

    async def count(
        self, app: App, scope: Scope, receive: Receive, send: Send, *, method: str = "GET", path: str | None = None
    ) -> None:
        """Have ``app`` answer what was asked by ``method``. ``path`` is its route; None if its router says that."""
        told = False

        def note(status: int) -> None:
            nonlocal told
            if not told:
                told = True
                route = path or scope.get("path_template") or UNMATCHED
                self._counts[f"{method if method in METHODS else OTHER} {status} {route}"] += 1

        async def counted(message: Message) -> None:
            if (status := _status(message)) is not None:
                note(status)
            await send(message)

        try:
            await app(scope, receive, counted)
        finally:
            note(500)  # so the server answers for an application that did not


def _status(message: Message) -> int | None:
    """What a message decides; None for one that goes on."""
    kind: Any = message["type"]
    if kind in _ANSWERS:
        return int(message["status"])
    return {"websocket.accept": 101, "websocket.close": 403}.get(kind)
