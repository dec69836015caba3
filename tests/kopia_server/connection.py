"""One client's connection: HTTP/1.1 requests one after another, answered or spoilt."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import parse_qsl, unquote

from . import api
from .access import Asked, Reply
from .site import Site

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
}
FOR_EVER = 3600.0
LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method=post></form></body></html>"
LONGEST = 4_000_000
BUFFER = 2048


async def serve(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        if site.faults.pick("", accept=True):
            await asyncio.sleep(FOR_EVER)
        while (asked := await read(reader)) is not None:
            site.stats.count(f"{asked.method} {asked.path}")
            if not await _answer(site, asked, writer) or asked.headers.get("connection", "").lower() == "close":
                break
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def read(reader: asyncio.StreamReader) -> Asked | None:
    """The next request; None once the client has left."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        return None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    length = int(headers.get("content-length", "0") or 0)
    body = await reader.readexactly(min(length, LONGEST)) if length else b""
    path, _, query = words[1].partition("?")
    return Asked(words[0], unquote(path), dict(parse_qsl(query, keep_blank_values=True)), headers, body)


async def _answer(site: Site, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    fault = site.faults.pick(asked.path)
    kind = fault["kind"] if fault else ""
    if kind == "hang":
        await asyncio.sleep(FOR_EVER)
    if kind == "html":
        reply = Reply(200, LOGIN, "text/html; charset=utf-8")
    elif kind == "status" and fault:
        reply = Reply(int(fault.get("code", 500)), b"oops\n", "text/plain; charset=utf-8")
    elif kind == "denied":
        reply = Reply(
            403, b'{\n  "code": "ACCESS_DENIED",\n  "error": "access is denied"\n}\n', "text/plain; charset=utf-8"
        )
    elif kind == "garbage":
        reply = Reply(200, b'{"sources": [{"source": \xff\xfe nothing')
    else:
        reply = api.answer(site, asked)
    data = whole(reply)
    if kind == "reset" and fault:
        writer.write(data[: int(fault.get("after", len(data) // 2))])
        await writer.drain()
        writer.transport.abort()
        return False
    if kind == "slow" and fault:
        rate = int(fault.get("rate", 1000))
        for start in range(0, len(data), max(1, rate // 10)):
            writer.write(data[start : start + max(1, rate // 10)])
            await writer.drain()
            await asyncio.sleep(0.1)
        return True
    writer.write(data)
    await writer.drain()
    return True


def whole(reply: Reply) -> bytes:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(reply.body), reply.body) if chunked(reply) else reply.body
    return head(reply) + body


def chunked(reply: Reply) -> bool:
    """Go sends what is longer than its buffer without saying how long it is."""
    return len(reply.body) > BUFFER


def head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Status')}", f"Content-Type: {reply.kind}"]
    length = "Transfer-Encoding: chunked" if chunked(reply) else f"Content-Length: {len(reply.body)}"
    lines += [length, *(f"{name}: {value}" for name, value in reply.headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
