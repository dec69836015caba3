"""How machines come in, for programs: codes, announcements, and the word that somebody gives on them.

Comes in: requests of people's programs. Goes out: readings. The one rule: a code is told once, to whoever had it
made, and an approval names the fingerprint that its person saw.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from lastgood.agent.address import is_loopback
from lastgood.auth.identity import fingerprint
from lastgood.service.enrolment import MOST_PENDING, Minted
from lastgood.store import enrolment as rows
from lastgood.store.enrolment import EnrolCode, PendingHost
from lastgood.web import lists, reader
from lastgood.web.audited import about
from lastgood.web.faults import Missing
from lastgood.web.readings import HostReading
from lastgood.web.session import site_of
from lastgood.web.site import Site
from lastgood.wire.enrolment import bytes_of

Word = Annotated[str, msgspec.Meta(max_length=300)]


class NewCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code to be made: for a machine that will be called ``name`` (None: as it calls itself), or with ``host_id``
    for a new agent of a host that is here already and keeps its sources."""

    name: Word | None = None
    host_id: Word | None = None


class MadeCode(msgspec.Struct, frozen=True, kw_only=True):
    """``code`` is shown this once; ``command`` is the line to run on the machine."""

    id: str
    code: str
    command: str
    name: str | None
    expires_at: datetime


class CodeReading(msgspec.Struct, frozen=True, kw_only=True):
    """A code that was handed out; ``host_id`` says which host came of it, or is to get a new agent by it."""

    id: str
    name: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    host_id: str | None
    anew: bool


class CodeList(msgspec.Struct, frozen=True, kw_only=True):
    """Codes of the last hour, oldest first; ``next_cursor`` is None on the last page."""

    items: list[CodeReading]
    next_cursor: str | None


class PendingReading(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that announced itself and waits. ``address`` is where it spoke from; the rest is its own word, and
    only ``fingerprint`` tells which machine it is."""

    id: str
    name: str
    fingerprint: str
    address: str
    hostname: str
    agent_version: str
    system: str
    announced_at: datetime
    expires_at: datetime


class PendingList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first; ``next_cursor`` goes into ``cursor`` of the next request, None on the last page."""

    items: list[PendingReading]
    total: int
    next_cursor: str | None


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``fingerprint`` is the one that the machine itself shows; ``name`` gives it another name."""

    fingerprint: Word
    name: Word | None = None


@post("/api/v1/enrol-codes", tags=["enrolment"], summary="Make an enrolment code")
async def make_code(request: Request[Any, Any, Any], data: JSONBody[NewCode]) -> MadeCode:
    site = site_of(request)
    minted = await site.enrolment.make_code(request.user.name, name=data.name, for_host=data.host_id)
    about(request, "enrol_code", minted.row.id, minted.row.name or "")
    return made_reading(site, minted)


@get("/api/v1/enrol-codes", tags=["enrolment"], summary="Enrolment codes of the last hour")
async def list_codes(
    request: Request[Any, Any, Any],
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> CodeList:
    site, most = site_of(request), lists.check_limit(limit)
    found = await site.read(partial(rows.list_codes, now=site.now(), after=cursor, limit=most + 1))
    items = [code_reading(code) for code in found[:most]]
    return CodeList(items=items, next_cursor=items[-1].id if len(found) > most else None)


@delete("/api/v1/enrol-codes/{code_id:str}", tags=["enrolment"], summary="Revoke an unused enrolment code")
async def revoke_code(request: Request[Any, Any, Any], code_id: FromPath[str]) -> None:
    if not await site_of(request).write(partial(rows.revoke_code, code_id=code_id)):
        raise Missing("No unused code has this id.")


@get("/api/v1/pending-hosts", tags=["enrolment"], summary="Machines that announced themselves and wait")
async def list_pending(
    request: Request[Any, Any, Any],
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> PendingList:
    most = lists.check_limit(limit)
    found = await all_pending(site_of(request))
    items = [one for one in found if cursor is None or one.id > cursor]
    following = items[most - 1].id if len(items) > most else None
    return PendingList(items=items[:most], total=len(found), next_cursor=following)


@post(
    "/api/v1/pending-hosts/{pending_id:str}/approve",
    tags=["enrolment"],
    summary="Make a waiting machine a host",
    status_code=200,
)
async def approve(
    request: Request[Any, Any, Any], pending_id: FromPath[str], data: JSONBody[Approval]
) -> HostReading:
    site = site_of(request)
    host = await site.enrolment.approve(pending_id, data.fingerprint, request.user.name, data.name)
    about(request, "host", host.id, host.name)
    return reader.host_reading(site.view(), host.id)


@post(
    "/api/v1/pending-hosts/{pending_id:str}/reject",
    tags=["enrolment"],
    summary="Turn a waiting machine away",
    status_code=200,
)
async def reject(request: Request[Any, Any, Any], pending_id: FromPath[str]) -> PendingReading:
    return pending_reading(await site_of(request).enrolment.reject(pending_id, request.user.name))


async def all_pending(site: Site) -> list[PendingReading]:
    """Every machine that waits, oldest first; there are never very many."""
    found = await site.read(partial(rows.list_pending, now=site.now(), after=None, limit=MOST_PENDING))
    return [pending_reading(host) for host in found]


def made_reading(site: Site, minted: Minted) -> MadeCode:
    code = minted.text.reveal()
    return MadeCode(
        id=minted.row.id,
        code=code,
        command=command("enrol", str(site.settings.server.public_url), code),
        name=minted.row.name,
        expires_at=minted.row.expires_at,
    )


def command(verb: str, base: str, *words: str) -> str:
    """The line to run on a machine that is to come in."""
    parts = urlsplit(base)
    plain = parts.scheme == "http" and not is_loopback(parts.hostname or "")
    return " ".join(("lastgood agent", verb, base, *words, *(("--insecure",) if plain else ())))


def code_reading(code: EnrolCode) -> CodeReading:
    return CodeReading(
        id=code.id,
        name=code.host_name or code.name,
        created_by=code.created_by,
        created_at=code.created_at,
        expires_at=code.expires_at,
        used_at=code.used_at,
        host_id=code.host_id or code.for_host,
        anew=code.for_host is not None,
    )


def pending_reading(host: PendingHost) -> PendingReading:
    return PendingReading(
        id=host.id,
        name=host.name,
        fingerprint=fingerprint(bytes_of(host.key)),
        address=host.address,
        hostname=host.hostname,
        agent_version=host.agent_version,
        system=host.system,
        announced_at=host.announced_at,
        expires_at=host.expires_at,
    )


ROUTES = (
    make_code,
    list_codes,
    revoke_code,
    list_pending,
    approve,
    reject,
)
