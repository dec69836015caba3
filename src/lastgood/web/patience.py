"""The server's end of an HTTP connection, with an end to its patience: slow callers, endless heads, stuck readers.

Comes in: bytes, in whatever pieces somebody sends them. Goes out: requests, as uvicorn makes them. The one rule: a
connection that does nothing useful is over within a bound of time and memory, whatever is sent meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

COMPLAIN_SECONDS = 60.0
_AGENTS_SHARE = 0.9
"""Agents stay connected; what is left is for people, scrapes and health checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """``request_seconds`` from the beginning to a whole request; ``stuck_seconds`` without a byte of an answer taken.

    ``most`` is how many connections the server holds, None if nobody counts.
    """

    request_seconds: float = 30.0
    stuck_seconds: float = 300.0
    head_bytes: int = 64 * 1024
    most: int | None = None


class PatientProtocol(HttpToolsProtocol):
    """One HTTP connection."""

    def __init__(
        self, patience: Patience, *, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._patience = patience

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._due: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._handed_over = False
        super().connection_made(transport)  # type: ignore[arg-type]
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._satisfied()
        self._moving()
        super().connection_lost(exc)

    # --- what comes in ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._handed_over or self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > self._patience.head_bytes:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._due is None and (self.cycle is None or self.cycle.response_complete):
            self._expect()  # bytes before a request count as its beginning

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        if self._due is None:
            self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._satisfied()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._satisfied()
        most = self._patience.most
        if most is not None and len(self.connections) > most * _AGENTS_SHARE:
            self._refuse(b"503 Service Unavailable", b"retry-after: 30\r\n")
            return
        self._handed_over = True
        super().handle_websocket_upgrade()

    def _expect(self) -> None:
        self._due = self.loop.call_later(self._patience.request_seconds, self._too_slow)

    def _satisfied(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_slow(self) -> None:
        self._due = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:  # it is we who do not read: an earlier request is still being answered
            self._expect()
        elif self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes, more: bytes = b"") -> None:
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\n" + more + b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()

    # --- what goes out ----------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(self._patience.stuck_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._moving()
        super().resume_writing()

    def _moving(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


class Seldom(logging.Filter):
    """Lets what any caller can provoke into the log once a minute."""

    PROVOKED = ("Invalid HTTP request received.", "Unsupported upgrade request.")

    def __init__(self) -> None:
        super().__init__()
        self._told_at: dict[Any, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg not in self.PROVOKED:
            return True
        now = time.monotonic()
        if now - self._told_at.get(record.msg, -COMPLAIN_SECONDS) < COMPLAIN_SECONDS:
            return False
        self._told_at[record.msg] = now
        return True
