"""The control port: plain HTTP on loopback, where a test asks for the truth and makes things happen.

GET /truth, /stats; POST /events, /faults, /clock, /notify. What makes no sense is 400 with one sentence.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.kopia_fake.moments import SECOND
from tests.kopia_fake.plan import DIED, SKIPPED

from . import webhook
from .access import Reply
from .connection import read, whole
from .site import Mistake, Site
from .webhook import Reported

USAGE = "GET /truth, GET /stats, POST /events, POST /faults, POST /clock, POST /notify"


def control(site: Site, method: str, path: str, body: Any) -> Any:
    """Answer one request that needs no waiting; Mistake if it makes no sense."""
    if (method, path) == ("GET", "/truth"):
        return site.truth()
    if (method, path) == ("GET", "/stats"):
        return vars(site.stats) | {"sent": site.webhook.sent}
    if (method, path) == ("POST", "/faults"):
        site.faults.replace(body or [])
    elif (method, path) == ("POST", "/events"):
        for event in body:
            site.event(event)
    elif (method, path) == ("POST", "/clock"):
        if not isinstance(body, dict) or set(body) != {"advance_s"}:
            raise Mistake(f"the clock takes advance_s, not {body!r}")
        site.advance(body["advance_s"])
        return {"now": site.now}
    else:
        raise Mistake(f"there is no {method} {path} here; there is {USAGE}")
    return {"ok": True}


async def notify(site: Site, told: dict[str, Any]) -> dict[str, Any]:
    """Send one notification: ``{"url", "sources": [...]}`` or ``{"url", "error": "..."}``; says whether it arrived.

    A source is ``user@host:/path`` (its newest attempt is reported) or ``{"source", "ended", "error"}``.
    """
    settings, told = site.settings, dict(told)
    url, method = told.pop("url"), told.pop("method", "POST")
    headers, template = told.pop("headers", {}), told.pop("template", None)
    hostname = settings.local.partition("@")[2]
    if "error" in told:
        message = webhook.failure(
            told.get("operation", "Maintenance"),
            told.get("details", "maintenance"),
            told["error"],
            hostname,
            site.scenario.version,
            site.now - 3 * SECOND,
            site.now,
            settings.zone_minutes,
        )
    else:
        reported = [_reported(site, one if isinstance(one, dict) else {"source": one}) for one in told["sources"]]
        zone, version = settings.zone_minutes, site.scenario.version
        message = webhook.report(reported, hostname, version, site.now, zone, template)
    delivered = await asyncio.to_thread(site.webhook.send, url, message, method, headers)
    return {"delivered": delivered, "status": site.webhook.sent[-1]["status"]}


def _reported(site: Site, told: dict[str, Any]) -> Reported:
    name = told["source"]
    user, _, rest = name.partition("@")
    host, _, path = rest.partition(":")
    source = site.sources.get(name)
    attempts = source.attempts if source else []
    ended = told.get("ended") or (attempts[-1].ended if attempts else DIED)
    error = told.get("error") or (attempts[-1].error if attempts else "")
    if ended in (DIED,) or not attempts:
        return Reported(user, host, path, DIED, None, error=error or f"lstat {path}: no such file or directory")
    saved = [one for one in attempts if one.ended not in (DIED, SKIPPED)]
    before = saved[-2] if len(saved) > 1 else None
    return Reported(user, host, path, ended, attempts[-1], before, error)


async def serve(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        asked = await read(reader)
        if asked is None:
            return
        try:
            body = json.loads(asked.body) if asked.body else None
            if (asked.method, asked.path) == ("POST", "/notify"):
                told = await notify(site, dict(body or {}))
            else:
                told = control(site, asked.method, asked.path, body)
            reply = Reply(200, json.dumps(told).encode())
        except (ValueError, KeyError, TypeError) as error:  # Mistake is one, and so is JSON that is none
            reply = Reply(400, json.dumps({"error": str(error)}).encode())
        reply.headers.append(("Connection", "close"))
        writer.write(whole(reply))
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()
