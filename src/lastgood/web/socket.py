"""The WebSocket of agents, ``/ws/agent``: text and bytes in and out of Litestar's socket, nothing else.

Comes in: a connection that nobody has proved anything about yet. Goes out: a ``Socket`` for the hub's session, which
decides everything. The one rule: a branch here concerns the connection, never what is said on it.
"""

from __future__ import annotations

from typing import Any

from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from lastgood.hub.socket import RESTARTING, TOO_LARGE, SocketClosed
from lastgood.wire.frames import FRAME_LIMIT

REASON_BYTES = 120
"""A close frame holds 125 bytes, two of them the code (RFC 6455, section 5.5)."""


class AgentSocket:
    """The hub's ``Socket`` over one accepted connection of ours."""

    def __init__(self, socket: WebSocket[Any, Any, Any]) -> None:
        self._socket = socket
        self._over = False
        self._accepted = False

    async def receive(self) -> str | bytes:
        """The next message; one over 1 MiB ends the connection."""
        if self._over:
            raise SocketClosed("The agent's connection is closed.")
        try:
            await self._accept()
            message = await self._socket.receive()
        except WebSocketDisconnect as fault:
            raise self._gone() from fault
        if message["type"] != "websocket.receive":
            raise self._gone()
        text = message.get("text")
        said = message.get("bytes") or b"" if text is None else text
        if _bytes(said) > FRAME_LIMIT:
            await self.close(TOO_LARGE, "A frame is larger than 1 MiB.")
            raise SocketClosed("The agent sent a frame larger than 1 MiB.", code=TOO_LARGE)
        return said

    async def send(self, data: bytes) -> None:
        if self._over:
            raise SocketClosed("The agent's connection is closed.")
        try:
            await self._accept()
            await self._socket.send_data(data, mode="text")
        except (WebSocketDisconnect, RuntimeError, OSError) as fault:  # servers say "gone" in all three ways
            raise self._gone() from fault

    async def close(self, code: int, reason: str) -> None:
        if self._over:
            return
        self._over = True
        fitting = reason.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore")
        try:
            await self._accept()
            await self._socket.close(code=code, reason=fitting)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return

    async def _accept(self) -> None:
        """Only now, when somebody has something to say: who waits for a turn costs no more than a socket."""
        if not self._accepted:
            self._accepted = True
            await self._socket.accept()

    def _gone(self) -> SocketClosed:
        self._over = True
        return SocketClosed("The agent's connection is closed.")


def _bytes(said: str | bytes) -> int:
    """How long the message was on the wire, counted only where it may matter."""
    if isinstance(said, bytes) or len(said) > FRAME_LIMIT or 4 * len(said) <= FRAME_LIMIT:
        return len(said)
    return len(said.encode("utf-8", "surrogatepass"))


@websocket("/ws/agent", opt={"public": True})
async def agent(socket: WebSocket[Any, Any, Any]) -> None:
    """Agents prove who they are inside the protocol."""
    connection = AgentSocket(socket)
    try:
        await socket.app.state.site.serve_agent(connection)
    finally:
        await connection.close(RESTARTING, "The hub ended the connection; come again.")


ROUTES = (agent,)
