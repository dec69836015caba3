"""The control port: plain HTTP on loopback, where a test asks for the truth and makes things happen.

GET /truth, /stats; POST /reset, /faults, /events, /clock. A request that makes no sense is 400 with one sentence.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from .compact import compact
from .refusal import Mistake
from .reply import head
from .site import Site
from .truth import truth

LONGEST_BODY = 4_000_000
USAGE = "GET /truth, GET /stats, POST /reset, POST /faults, POST /events, POST /clock"


def control(site: Site, method: str, path: str, body: Any) -> Any:
    """Answer one request; Mistake if it makes no sense."""
    if (method, path) == ("GET", "/truth"):
        site.catch_up()
        return truth(site.world)
    if (method, path) == ("GET", "/stats"):
        return site.stats.told()
    if (method, path) == ("POST", "/reset"):
        site.reset()
    elif (method, path) == ("POST", "/faults"):
        site.faults.replace(body)
    elif (method, path) == ("POST", "/events"):
        site.plan(body)
    elif (method, path) == ("POST", "/clock"):
        set_clock(site, body)
        return {"now": site.world.now, "speed": site.world.clock.speed}
    else:
        raise Mistake(f"there is no {method} {path} here; there is {USAGE}")
    return {"ok": True}


def set_clock(site: Site, told: Any) -> None:
    if not isinstance(told, dict) or not told or set(told) - {"now", "advance_s", "speed"}:
        raise Mistake(f"the clock takes now, advance_s or speed, not {told!r}")
    if not all(isinstance(value, int | float) for value in told.values()):
        raise Mistake(f"the clock takes numbers, not {told!r}")
    clock = site.world.clock
    if "now" in told:
        clock.jump(told["now"])
    if "advance_s" in told:
        clock.jump(clock.exact() + told["advance_s"])
    if "speed" in told:
        clock.run(told["speed"])
    site.catch_up()


async def serve(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        status, told = await _answer(site, reader)
        body = compact(told).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
        writer.write(head(status, headers) + body)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def _answer(site: Site, reader: asyncio.StreamReader) -> tuple[int, Any]:
    raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = raw.split("\r\n")
    words = first.split(" ")
    lengths = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("content-length:")]
    try:
        length = int(lengths[0]) if lengths else 0
        if length > LONGEST_BODY or len(words) != 3:
            raise Mistake(f"that is no request for this port; it takes {USAGE}")
        body = await reader.readexactly(length)
        return 200, control(site, words[0], words[1], json.loads(body) if body else None)
    except ValueError as error:  # Mistake is one, and so is JSON that is none
        return 400, {"error": str(error)}
