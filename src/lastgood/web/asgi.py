"""The few words of ASGI that pages without a framework need: scrape, health, readiness.

Comes in: scopes of uvicorn. Goes out: whole answers in one piece, which uvicorn sends without copying. The one
rule: nothing of the hub extra is imported here, since stand-alone exporters serve these pages too. Follows ASGI 3.0.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers = Iterable[tuple[str, str]]

READ_METHODS = ("GET", "HEAD")
PLAIN = ("content-type", "text/plain; charset=utf-8")


def header_lines(scope: Scope, name: bytes) -> list[str]:
    """The lines of a header in the order received; ``name`` in lower case."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


async def answer(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer; a HEAD request gets its headers only."""
    await send(_start(status, headers, len(body)))
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def answer_in_pieces(
    scope: Scope, send: Send, status: int, headers: Headers, size: int, pieces: AsyncIterator[bytes]
) -> None:
    """Send an answer of ``size`` bytes as fast as it is taken, without holding it whole."""
    await send(_start(status, headers, size))
    if scope["method"] != "HEAD":
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _start(status: int, headers: Headers, size: int) -> Message:
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    # Names of hosts are strangers' words: no browser may guess that they are markup.
    lines.append((b"x-content-type-options", b"nosniff"))
    lines.append((b"content-length", str(size).encode()))
    return {"type": "http.response.start", "status": status, "headers": lines}


async def say(scope: Scope, send: Send, status: int, sentence: str, headers: Headers = ()) -> None:
    """Answer with one sentence; never kept by a cache."""
    await answer(scope, send, status, [PLAIN, ("cache-control", "no-store"), *headers], f"{sentence}\n".encode())


async def refuse_method(scope: Scope, send: Send) -> None:
    allowed = ", ".join(READ_METHODS)
    await say(scope, send, 405, f"Only {allowed} are answered here.", [("allow", allowed)])
