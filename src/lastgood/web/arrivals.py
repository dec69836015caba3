"""The page on which machines are added: codes made and shown once, machines that wait approved or turned away.

Comes in: what people press. Goes out: pages. The one rule: an approval carries the fingerprint that its person was
shown, so that nobody approves another machine than the one they looked at.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, get, post
from litestar.params import FromPath

from lastgood.agent.address import is_loopback
from lastgood.errors import AccessError
from lastgood.store import enrolment as rows
from lastgood.web import lists
from lastgood.web.audited import about
from lastgood.web.enrolment import MadeCode, PendingReading, all_pending, code_reading, command, made_reading
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of

CODES_SHOWN = 50


@get("/enrol", include_in_schema=False)
async def enrol_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return await _page(request)


@post("/enrol", include_in_schema=False)
async def make_code(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The answer to the form is the only page that ever shows the code."""
    site, said = site_of(request), await _fields(request)
    name, host_id = said.get("name", "").strip() or None, said.get("host_id") or None
    try:
        minted = await site.enrolment.make_code(request.user.name, name=name, for_host=host_id)
    except AccessError as fault:
        return await _page(request, name=name or "", error=str(fault), status=fault.status)
    about(request, "enrol_code", minted.row.id, minted.row.name or "")
    return await _page(request, made=made_reading(site, minted))


@post("/enrol/codes/{code_id:str}/revoke", include_in_schema=False)
async def revoke_code(request: Request[Any, Any, Any], code_id: FromPath[str]) -> Response[bytes]:
    await site_of(request).write(partial(rows.revoke_code, code_id=code_id))
    return redirect("/enrol")


@post("/enrol/pending/{pending_id:str}/approve", include_in_schema=False)
async def approve(request: Request[Any, Any, Any], pending_id: FromPath[str]) -> Response[bytes]:
    said = await _fields(request)
    try:
        host = await site_of(request).enrolment.approve(
            pending_id, said.get("fingerprint", ""), request.user.name, said.get("name", "").strip() or None
        )
    except AccessError as fault:
        return await _page(request, error=str(fault), status=fault.status)
    about(request, "host", host.id, host.name)
    return redirect(f"/hosts/{host.id}")


@post("/enrol/pending/{pending_id:str}/reject", include_in_schema=False)
async def reject(request: Request[Any, Any, Any], pending_id: FromPath[str]) -> Response[bytes]:
    try:
        await site_of(request).enrolment.reject(pending_id, request.user.name)
    except AccessError as fault:
        return await _page(request, error=str(fault), status=fault.status)
    return redirect("/hosts")


async def _page(
    request: Request[Any, Any, Any],
    *,
    made: MadeCode | None = None,
    name: str = "",
    error: str | None = None,
    status: int = 200,
) -> Response[bytes]:
    site = site_of(request)
    base = str(site.settings.server.public_url)
    codes = await site.read(partial(rows.list_codes, now=site.now(), after=None, limit=CODES_SHOWN))
    return page(
        request,
        "enrol.html",
        status=status,
        made=made,
        name=name,
        error=error,
        codes=[code_reading(code) for code in codes if made is None or code.id != made.id],
        sheet=lists.cut(await all_pending(site), lists.page_number(request), "/enrol", {}, _by_id),
        hub=site.enrolment.hub,
        announce=command("announce", base),
        local=is_loopback(urlsplit(base).hostname or ""),
    )


def _by_id(pending: PendingReading) -> str:
    return pending.id


async def _fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    form = await request.form()
    return {key: value for key, value in form.items() if isinstance(value, str)}


ROUTES = (enrol_page, make_code, revoke_code, approve, reject)
