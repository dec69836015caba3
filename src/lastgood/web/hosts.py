"""Hosts: the machines with agents, one by one and as a list, for people and programs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery, QueryParameter

from lastgood.fleet.fleet import FleetView
from lastgood.web import lists, past, reader
from lastgood.web.faults import Missing
from lastgood.web.lists import HostList
from lastgood.web.overview import select, worst_first
from lastgood.web.readings import HostReading
from lastgood.web.render import page
from lastgood.web.session import site_of

RECENT_RUNS = 15


@get("/hosts", include_in_schema=False)
async def hosts_page(request: Request[Any, Any, Any], q: FromQuery[str] = "") -> Response[bytes]:
    return await asyncio.to_thread(_page, request, site_of(request).view(), q)


def _page(request: Request[Any, Any, Any], view: FleetView, text: str) -> Response[bytes]:
    chosen = _select(view, text)
    sheet = lists.cut(chosen, lists.page_number(request), "/hosts", {"q": text}, partial(_place, view))
    rows = [reader.host_reading(view, host_id) for host_id in sheet.rows]
    return page(request, "hosts.html", sheet=sheet, rows=rows, q=text, open_alerts=len(view.alerts))


@get("/hosts/{host_id:str}", include_in_schema=False)
async def host_page(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    view, now, progress = site.view(), site.now(), site.progress()
    _known(view, host_id)
    sources = sorted(select(view, host=host_id), key=worst_first(view))
    runs, _ = await past.runs(site, view, limit=RECENT_RUNS, host_id=host_id)
    return page(
        request,
        "host.html",
        host=reader.host_reading(view, host_id),
        rows=[reader.source_reading(view, source, now, progress) for source in sources[: lists.ROWS]],
        total=len(sources),
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
    return await asyncio.to_thread(_list, site_of(request).view(), online, q, limit, cursor)


def _list(view: FleetView, online: bool | None, text: str, limit: int, cursor: str | None) -> HostList:
    chosen = [host_id for host_id in _select(view, text) if online is None or view.online.get(host_id) is online]
    items, total, following = lists.batch(chosen, cursor, limit, partial(reader.host_reading, view))
    return HostList(items=items, total=total, next_cursor=following)


@get("/api/v1/hosts/{host_id:str}", tags=["hosts"], summary="One host")
async def get_host(request: Request[Any, Any, Any], host_id: FromPath[str]) -> HostReading:
    view = site_of(request).view()
    _known(view, host_id)
    return reader.host_reading(view, host_id)


def _select(view: FleetView, text: str) -> list[str]:
    return [host_id for host_id, host in view.hosts.items() if lists.matches(text, host.name)]


def _place(view: FleetView, host_id: str) -> tuple[bool, str]:
    """Those that are away first, then by name."""
    return view.online.get(host_id) is not False, view.hosts[host_id].name.casefold()


def _known(view: FleetView, host_id: str) -> None:
    if host_id not in view.hosts:
        raise Missing("No host has this id; it may have been removed.")


ROUTES = (hosts_page, host_page, list_hosts, get_host)
