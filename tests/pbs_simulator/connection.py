"""One client's connection: reads HTTP/1.1 requests one after another and answers each.

Takes the site (world, faults, pace, statistics). Whatever happens here ends this connection and no other.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from . import api
from .outlet import Outlet
from .refusal import Refusal
from .reply import Reply, refused, told
from .sabotage import send
from .site import Site

LONGEST_TARGET = 3072
LONGEST_HEAD = 64 * 1024
LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>pbs-a - Proxmox Backup Server</title></head><body></body></html>\n"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


async def serve(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the client leaves, asks to close, or a fault ends it."""
    try:
        while (request := await read_request(reader)) is not None:
            if not await _answer(site, request, reader, writer):
                break
            if request.headers.get("connection", "").lower() == "close":
                break
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request with its body read and dropped; None once the client has left or speaks no HTTP."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        return None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    if length := headers.get("content-length"):
        await reader.readexactly(int(length) if length.isdigit() else 0)
    return Request(words[0], words[1], headers)


async def _answer(site: Site, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    found = api.find(request.path)
    template = found[0].path if found else "unknown"
    site.stats.began(template)
    try:
        site.timeline_before(request.path)
        fault = site.faults.pick(request.path, request.query)
        reply = _reply(site, request)
        outlet = Outlet(
            reader,
            writer,
            deflates="deflate" in request.headers.get("accept-encoding", "") and reply.status == 200,
            version=site.world.version,
            pace=site.pace,
            stats=site.stats,
        )
        async with site.turn():
            await site.pace.before(reply.groups, reply.snapshots)
            if reply.delay:
                await asyncio.sleep(reply.delay * site.auth_delay_scale)
            site.stats.answered(request.method, request.target, _status(reply, fault))
            going = await (outlet.send(reply) if fault is None else send(outlet, reply, fault))
        site.timeline_after(request.path)
        return going
    finally:
        site.stats.ended(template)


def _status(reply: Reply, fault: object) -> int:
    value = getattr(fault, "value", None)
    return int(value) if getattr(fault, "kind", "") == "status" and isinstance(value, int) else reply.status


def _reply(site: Site, request: Request) -> Reply:
    if len(request.target) > LONGEST_TARGET:
        return Reply(414, content_type=None)
    if request.path == "/" and request.method == "GET":
        return Reply(200, LOGIN_PAGE, content_type="text/html")
    try:
        credentials = request.headers.get("authorization")
        return told(api.answer(site.world, request.method, request.path, request.query, credentials))
    except Refusal as refusal:
        return refused(refusal)
