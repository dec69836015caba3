"""Alerts: what is wrong now, and what was. ``web/snooze.py`` has what people do with them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from heapq import nlargest, nsmallest
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import FromQuery, QueryParameter

from lastgood.fleet.fleet import FleetView
from lastgood.model.alert import Alert, Severity
from lastgood.web import lists, reader
from lastgood.web import past as history
from lastgood.web.faults import Invalid
from lastgood.web.lists import AlertList
from lastgood.web.readings import AlertReading, HostReading
from lastgood.web.render import page
from lastgood.web.session import site_of

_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


@get("/alerts", include_in_schema=False)
async def alerts_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    site = site_of(request)
    view, now = site.view(), site.now()
    cursor = request.query_params.get("cursor") or None
    past, following = await history.alerts(site, view, limit=lists.ROWS, cursor=cursor)
    return page(
        request,
        "alerts.html",
        open=await asyncio.to_thread(_worst_first, view) if cursor is None else [],
        more=max(len(view.alerts) - lists.ROWS, 0),
        snoozed_hosts=await asyncio.to_thread(_snoozed_hosts, view, now) if cursor is None else [],
        past=[alert for alert in past if alert.resolved_at is not None],
        newest="/alerts" if cursor else None,
        older=lists.address("/alerts", {"cursor": following}) if following else None,
    )


@get("/api/v1/alerts", tags=["alerts"], summary="Open alerts, or their history, newest first")
async def list_alerts(
    request: Request[Any, Any, Any],
    status: Annotated[str, QueryParameter(description="open, or all for the history as well.")] = "open",
    host_id: FromQuery[str | None] = None,
    rule: FromQuery[str | None] = None,
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> AlertList:
    site = site_of(request)
    view, most = site.view(), lists.check_limit(limit)

    if status == "all":
        rows, following = await history.alerts(site, view, limit=most, cursor=cursor, host_id=host_id, rule=rule)
        return AlertList(items=rows, next_cursor=following)
    if status != "open":
        raise Invalid("status", "status is open or all.")
    return await asyncio.to_thread(_list, view, host_id, rule, most, cursor)


def _list(view: FleetView, host_id: str | None, rule: str | None, most: int, cursor: str | None) -> AlertList:
    fitting = (alert for alert in view.alerts.values() if _fits(alert, host_id, rule))
    past = nlargest(most + 1, (alert for alert in fitting if cursor is None or _mark(alert) < cursor), key=_mark)
    following = _mark(past[most - 1]) if len(past) > most else None
    return AlertList(items=[reader.alert_reading(view, alert) for alert in past[:most]], next_cursor=following)


def _worst_first(view: FleetView) -> list[AlertReading]:
    """The open ones that are shown."""
    worst = nlargest(
        lists.ROWS, view.alerts.values(), key=lambda alert: (-_RANK[alert.severity], alert.opened_at, alert.id)
    )
    return [reader.alert_reading(view, alert) for alert in worst]


def _snoozed_hosts(view: FleetView, now: datetime) -> list[HostReading]:
    """The hosts on which whatever opens is snoozed; the one that is awake first comes first."""
    asleep = [host for host in view.hosts.values() if host.snoozed_until is not None and host.snoozed_until > now]
    soonest = nsmallest(lists.ROWS, asleep, key=lambda host: (host.snoozed_until, host.id))
    return [reader.host_reading(view, host.id) for host in soonest]


def _mark(alert: Alert) -> str:
    """The moment of opening and the id, as text that sorts like them."""
    return f"{alert.opened_at:%Y%m%d%H%M%S%f}.{alert.id}"


def _fits(alert: Alert, host_id: str | None, rule: str | None) -> bool:
    return host_id in (None, alert.host_id) and rule in (None, alert.key.rule)


ROUTES = (alerts_page, list_alerts)
