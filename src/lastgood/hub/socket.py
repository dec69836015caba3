"""What a session needs of a WebSocket, so that any server can carry it; and the codes with which we close.

The one rule: whoever adapts a server's WebSocket turns its every way of saying "gone" into ``SocketClosed``.
Close codes below 4000 are those of RFC 6455, the others are ours.
"""

from __future__ import annotations

from typing import Protocol

from lastgood.errors import WireError

NORMAL = 1000
RESTARTING = 1012
TOO_LARGE = 1009
BROKEN = 4400
REFUSED = 4401
SILENT = 4408
REPLACED = 4409
TRY_AGAIN = 4503


class SocketClosed(WireError):
    """The other side is gone; nothing can be sent or received any more."""


class Socket(Protocol):
    """One accepted WebSocket. ``send`` may be called by one task while another waits in ``receive``."""

    async def receive(self) -> str | bytes:
        """The next message; raises SocketClosed when there will be none."""
        ...

    async def send(self, data: bytes) -> None:
        """Send UTF-8 JSON as a text message; raises SocketClosed if the other side is gone."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close, and do nothing if closed already. ``reason`` is at most 120 bytes of UTF-8."""
        ...
