"""Hosts: the machines with agents, one by one and as a list, for people and programs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lastgood.errors import AccessError
from lastgood.fleet.docker import trouble
from lastgood.fleet.fleet import FleetView
from lastgood.web import lists, past, reader
from lastgood.web.enrolment import PendingReading, all_pending
from lastgood.web.faults import Missing
from lastgood.web.lists import HostList
from lastgood.web.overview import select, worst_first
from lastgood.web.readings import HostReading
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of

RECENT_RUNS = 15
PENDING_SHOWN = 5


class HostChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name`` is what the host is called from now on; snapshots keep the name that it was enrolled with."""

    name: Annotated[str, msgspec.Meta(max_length=300)]


@get("/hosts", include_in_schema=False)
async def hosts_page(request: Request[Any, Any, Any], q: FromQuery[str] = "") -> Response[bytes]:
    site = site_of(request)
    return await asyncio.to_thread(_page, request, site.view(), q, await all_pending(site))


def _page(
    request: Request[Any, Any, Any], view: FleetView, text: str, pending: list[PendingReading]
) -> Response[bytes]:
    chosen = _select(view, text)
    sheet = lists.cut(chosen, lists.page_number(request), "/hosts", {"q": text}, partial(_place, view))
    rows = [reader.host_reading(view, host_id) for host_id in sheet.rows]
    return page(
        request,
        "hosts.html",
        sheet=sheet,
        rows=rows,
        q=text,
        open_alerts=len(view.alerts),
        pending=pending[:PENDING_SHOWN],
        waiting=len(pending),
    )


@get("/hosts/{host_id:str}", include_in_schema=False)
async def host_page(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    return await _host_page(request, host_id)


@post("/hosts/{host_id:str}/rename", include_in_schema=False)
async def rename(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    name = str((await request.form()).get("name", ""))
    try:
        await site_of(request).hosts.rename(host_id, name, request.user.name)
    except AccessError as fault:
        if host_id not in site_of(request).view().hosts:
            raise
        return await _host_page(request, host_id, error=str(fault), status=fault.status)
    return redirect(f"/hosts/{host_id}")


@get("/hosts/{host_id:str}/remove", include_in_schema=False)
async def confirm_removal(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    """What would become of its sources, before anything happens."""
    view = site_of(request).view()
    _known(view, host_id)
    sources = [view.sources[i] for i in view.sources_of_host.get(host_id, ())]
    return page(
        request,
        "host_remove.html",
        host=reader.host_reading(view, host_id),
        names=sorted(source.name for source in sources)[: lists.ROWS],
        total=len(sources),
        watched=sorted(one.name for one in view.repositories.values() if one.watched_by == host_id)[: lists.ROWS],
    )


@post("/hosts/{host_id:str}/remove", include_in_schema=False)
async def remove(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    await site_of(request).hosts.remove(host_id, request.user.name)
    return redirect("/hosts")


async def _host_page(
    request: Request[Any, Any, Any], host_id: str, *, error: str | None = None, status: int = 200
) -> Response[bytes]:
    site = site_of(request)
    view, now, progress = site.view(), site.now(), site.progress()
    _known(view, host_id)
    sources = sorted(select(view, host=host_id), key=worst_first(view))
    runs, _ = await past.runs(site, view, limit=RECENT_RUNS, host_id=host_id)
    return page(
        request,
        "host.html",
        status=status,
        error=error,
        host=reader.with_orders(reader.host_reading(view, host_id), site.orders.told(host_id)),
        rows=[reader.source_reading(view, source, now, progress) for source in sources[: lists.ROWS]],
        total=len(sources),
        has_engine=host_id in view.docker,
        trouble=trouble(view.docker[host_id].engine) if host_id in view.docker and view.online.get(host_id) else None,
        runs=runs,
        alerts=[reader.alert_reading(view, alert) for alert in view.alerts.values() if alert.host_id == host_id],
    )


@get("/api/v1/hosts", tags=["hosts"], summary="All hosts, oldest first")
async def list_hosts(
    request: Request[Any, Any, Any],
    online: FromQuery[bool | None] = None,
    q: Annotated[str, QueryParameter(description="Words that the name contains.")] = "",
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> HostList:
    site = site_of(request)
    found = await asyncio.to_thread(_list, site.view(), online, q, limit, cursor)
    items = [reader.with_orders(one, site.orders.told(one.id)) for one in found.items]
    return HostList(items=items, total=found.total, next_cursor=found.next_cursor)


def _list(view: FleetView, online: bool | None, text: str, limit: int, cursor: str | None) -> HostList:
    chosen = [host_id for host_id in _select(view, text) if online is None or view.online.get(host_id) is online]
    items, total, following = lists.batch(chosen, cursor, limit, partial(reader.host_reading, view))
    return HostList(items=items, total=total, next_cursor=following)


@get("/api/v1/hosts/{host_id:str}", tags=["hosts"], summary="One host")
async def get_host(request: Request[Any, Any, Any], host_id: FromPath[str]) -> HostReading:
    site = site_of(request)
    view = site.view()
    _known(view, host_id)
    return reader.with_orders(reader.host_reading(view, host_id), site.orders.told(host_id))


@patch("/api/v1/hosts/{host_id:str}", tags=["hosts"], summary="Rename a host")
async def change_host(
    request: Request[Any, Any, Any], host_id: FromPath[str], data: JSONBody[HostChange]
) -> HostReading:
    site = site_of(request)
    host = await site.hosts.rename(host_id, data.name, request.user.name)
    return reader.with_orders(reader.host_reading(site.view(), host.id), site.orders.told(host.id))


@delete("/api/v1/hosts/{host_id:str}", tags=["hosts"], summary="Remove a host with its sources; no backup is touched")
async def remove_host(request: Request[Any, Any, Any], host_id: FromPath[str]) -> None:
    await site_of(request).hosts.remove(host_id, request.user.name)


def _select(view: FleetView, text: str) -> list[str]:
    return [host_id for host_id, host in view.hosts.items() if lists.matches(text, host.name)]


def _place(view: FleetView, host_id: str) -> tuple[bool, str]:
    """Those that are away first, then by name."""
    return view.online.get(host_id) is not False, view.hosts[host_id].name.casefold()


def _known(view: FleetView, host_id: str) -> None:
    if host_id not in view.hosts:
        raise Missing("No host has this id; it may have been removed.")


ROUTES = (
    hosts_page,
    host_page,
    rename,
    confirm_removal,
    remove,
    list_hosts,
    get_host,
    change_host,
    remove_host,
)
