"""Carries a fault out: sends the answer that should have gone out, but wrongly.

Takes the correct reply and the connection's outlet. True means that the connection can go on to the next request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from .compact import compact
from .faults import Fault
from .outlet import Outlet
from .reply import Deflater, Reply, chunk, deflated, head

_MB = 1_000_000
_HTML = "text/html"


async def send(outlet: Outlet, reply: Reply, fault: Fault) -> bool:
    if fault.kind == "status":
        body = str(fault.more.get("body", ""))
        content_type = fault.more.get("content_type") or (_HTML if body.startswith("<") else reply.content_type)
        return await outlet.send(Reply(int(fault.value), body.encode(), content_type=content_type))
    if fault.kind == "delay":
        await asyncio.sleep(fault.value / 1000)
        return await outlet.send(reply)
    if fault.kind == "close_idle":
        await outlet.send(reply)
        return False
    if fault.kind == "corrupt":
        return await outlet.send(Reply(200, corrupted(reply.whole(), fault.value, fault.more.get("key"))))
    if fault.kind == "oversize":
        await _oversize(outlet, reply, fault.value)
        return False
    await _break_off(outlet, reply, fault)
    return False


async def _break_off(outlet: Outlet, reply: Reply, fault: Fault) -> None:
    """Faults that end the connection while the answer is under way."""
    body = reply.whole()
    if outlet.deflates:
        body = deflated(outlet.version, body)
    headers = outlet.headers(reply, len(body))
    if fault.kind == "hang":
        if fault.more.get("where") == "body":
            await outlet.write(head(reply.status, headers))
        await outlet.gone(fault.value)
    elif fault.kind == "drip":
        await outlet.write(head(reply.status, headers))
        step = max(1, int(fault.value / 10))
        for start in range(0, len(body), step):
            await outlet.write(body[start : start + step])
            await asyncio.sleep(step / fault.value)
    elif fault.kind == "truncate":
        kept = body[: int(len(body) * fault.value)]
        if fault.more.get("chunked"):
            headers = outlet.headers(reply, None)
            kept = chunk(kept) if kept else b""
        await outlet.write(head(reply.status, headers) + kept)
    elif fault.kind == "reset":
        if fault.value:
            await outlet.write(head(reply.status, headers) + body[: int(fault.value)])
        outlet.reset()


async def _oversize(outlet: Outlet, reply: Reply, megabytes: float) -> None:
    """A list that goes on until the client has enough; deflated, it is a thousand times smaller than it says."""
    await outlet.write(head(200, outlet.headers(reply, None)))
    deflater = Deflater(outlet.version, 9) if outlet.deflates else None
    # Blanks between rows are JSON too, and what deflate is best at.
    padding = b" " * 1_000_000 if deflater else b""
    async for piece in _endless(reply.whole(), megabytes, padding):
        data = deflater.piece(piece) if deflater else piece
        if data:
            await outlet.write(chunk(data))


async def _endless(body: bytes, megabytes: float, padding: bytes) -> AsyncIterator[bytes]:
    told = json.loads(body).get("data") if body.startswith(b"{") else None
    row = compact(told[0]).encode() if isinstance(told, list) and told else b'{"backup-type":"vm","backup-id":"100"}'
    row += b"," + padding
    piece = row * max(1, 256 * 1024 // len(row))
    yield b'{"data":['
    sent = 0
    while sent < megabytes * _MB:
        yield piece
        sent += len(piece)


def corrupted(body: bytes, how: str, key: str | None) -> bytes:
    """Valid HTTP around a body that is wrong; ``key`` says which field, the first one where it is left out."""
    if not body.startswith(b"{"):
        return body  # an error's bare text is no JSON to begin with
    if how == "json":
        middle = body.find(b'":', len(body) // 2) + 2
        return body[:middle] + b"}]" + body[middle:]
    told = json.loads(body)
    data = told["data"]
    rows = data if isinstance(data, list) else [data]
    if how == "duplicate":
        told["data"] = data + data if isinstance(data, list) else [data, data]
    for row in rows:
        if not isinstance(row, dict) or not row or how == "duplicate":
            continue
        name = key or next(iter(row))
        if how == "type":
            row[name] = [str(row.get(name))] if isinstance(row.get(name), str) else "not a number"
        elif how == "null":
            row[name] = None
        else:
            row.update({each: _huge(value) for each, value in row.items() if key in (None, each)})
    return compact(told).encode()


def _huge(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _huge(each) for key, each in value.items()}
    return 1e30 if isinstance(value, int | float) and not isinstance(value, bool) else value
