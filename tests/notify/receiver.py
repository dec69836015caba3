"""The far side of a channel: a real HTTP server on this machine that takes, refuses, hangs, drops or redirects.

``answers`` says what it does next, the last one for ever: a status, with Retry-After as ``(429, "7")``, or one of
``HANG``, ``DROP`` and ``(302, "Location: ...")``. ``took`` is what it was sent, in order.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

HANG, DROP = "hang", "drop"


@dataclass
class Asked:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes
    peer: str

    @property
    def json(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said


@dataclass
class Receiver:
    answers: list[Any] = field(default_factory=lambda: [200])
    asked: list[Asked] = field(default_factory=list)
    took: list[Asked] = field(default_factory=list)
    port: int = 0
    hanging: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=hidden"

    @property
    def events(self) -> list[str]:
        return [one.json["event"] for one in self.took]

    def told(self) -> list[tuple[str, str]]:
        """(event, alert id) of everything that was taken; a digest has no alert."""
        said = [one.json for one in self.took]
        return [(one["event"], (one["alert"] or {}).get("id", "")) for one in said]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(head[0], headers, body, writer.get_extra_info("peername")[0])
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == DROP:
            return
        if answer == HANG:
            self.hanging += 1
            await reader.read()  # until the other side gives up
            self.hanging -= 1
            return
        status, more = answer if isinstance(answer, tuple) else (answer, None)
        lines = [f"HTTP/1.1 {status} X", "Content-Length: 2"]
        if more is not None:
            lines.append(more if ": " in more else f"Retry-After: {more}")
        writer.write(("\r\n".join(lines) + "\r\n\r\nok").encode())
        await writer.drain()
        if status == 200:
            self.took.append(asked)


@asynccontextmanager
async def receiving(*answers: Any) -> AsyncIterator[Receiver]:
    """A server on a free port while the block runs."""
    receiver = Receiver(list(answers) or [200])
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
