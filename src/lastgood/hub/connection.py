"""One authenticated agent connection: what can be sent over it, and the one reason for which it ends.

Sessions own it, the roster holds it. Whoever wants it over calls ``end``; the session then settles what was handed
over and closes the socket. The one rule: it ends once, and the first reason stands.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from lastgood.hub.greeting import Greeting
from lastgood.hub.socket import NORMAL, Socket, SocketClosed
from lastgood.wire.frames import Frame, encode

SEND_SECONDS = 30.0
_REASON_BYTES = 120
"""A close frame carries 125 bytes, two of them for the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a connection is over. ``told`` is sent as a refusal before the socket is closed."""

    code: int = NORMAL
    reason: str = ""
    told: Frame | None = None


class Connection:
    """The sending half of an agent connection, known by its host."""

    def __init__(self, socket: Socket, greeting: Greeting, greeted_at: datetime) -> None:
        self._socket = socket
        self._turn = asyncio.Lock()
        self.host_id = greeting.host.id
        self.hello = greeting.hello
        self.greeted_at = greeted_at
        """When the hello came, by our clock."""
        self.signing = greeting.signing
        self.applied: str | None = None
        """The version of the assignment that the agent says is in force."""
        self.refused: tuple[str, ...] = ()
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[bool] = loop.create_future()
        """True once the agent was welcomed and has its orders: only then may others send. False if it never was."""
        self.ending: asyncio.Future[Ending] = loop.create_future()
        self.over = asyncio.Event()
        """Set when the session has settled and closed."""

    async def send(self, frame: Frame) -> bool:
        """Send a frame; False if the connection is over. An agent that does not read is taken for gone."""
        try:
            async with asyncio.timeout(SEND_SECONDS), self._turn:
                await self._socket.send(encode(frame))
        except (SocketClosed, TimeoutError):
            self.end(Ending())
            return False
        return True

    def end(self, ending: Ending) -> None:
        """Have the session end the connection; does nothing if it is ending already."""
        if not self.ending.done():
            self.ending.set_result(ending)
        if not self.welcomed.done():
            self.welcomed.set_result(False)

    def welcome(self) -> None:
        """The greeting is over; others may send from now on."""
        if not self.welcomed.done():
            self.welcomed.set_result(True)

    async def close(self, ending: Ending, seconds: float) -> None:
        """Say why and close the socket, for at most ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                if ending.told is not None:
                    await self._socket.send(encode(ending.told))
                await self._socket.close(ending.code, shortened(ending.reason))
        except (SocketClosed, TimeoutError):
            pass
        self.end(ending)
        self.over.set()


def shortened(reason: str) -> str:
    """``reason`` cut to what a close frame can carry."""
    return reason.encode()[:_REASON_BYTES].decode("utf-8", "ignore")
