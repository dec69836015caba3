"""What people do with alerts: take care of one, or have a host or an alert told to nobody for a while.

The one rule: nothing here closes an alert; what is snoozed or acknowledged stays open and shown until its condition
is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from litestar import Request, Response, delete, post
from litestar.params import FromPath, JSONBody

from lastgood.fleet.fleet import FleetView
from lastgood.model.alert import Alert
from lastgood.model.fact import AlertAcknowledged, AlertSnoozed, Fact, HostSnoozed
from lastgood.web import reader
from lastgood.web.bodies import LONGEST_SPAN
from lastgood.web.channels import SPANS, to_come
from lastgood.web.faults import Invalid, Missing
from lastgood.web.outbox import Snooze
from lastgood.web.readings import AlertReading, HostReading
from lastgood.web.render import redirect
from lastgood.web.session import safe_next, site_of
from lastgood.web.sources import IdempotencyKey, minted, origin

# --- pages --------------------------------------------------------------------------------------------------------


@post("/alerts/{alert_id:str}/acknowledge", include_in_schema=False)
async def acknowledge_by_form(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> Response[bytes]:
    await _acknowledge(request, alert_id, None)
    return redirect("/alerts")


@post("/alerts/{alert_id:str}/snooze", include_in_schema=False)
async def snooze_by_form(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> Response[bytes]:
    said = await request.form()
    alert, until = find(site_of(request).view(), alert_id), _span_end(request, str(said.get("for", "")))
    if said.get("what") == "host" and alert.host_id is not None:
        await _snooze_host(request, alert.host_id, until, None)
    else:
        await _snooze(request, alert_id, until, None)
    return redirect("/alerts")


@post("/alerts/{alert_id:str}/wake", include_in_schema=False)
async def wake_by_form(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> Response[bytes]:
    await _snooze(request, alert_id, None, None)
    return redirect("/alerts")


@post("/hosts/{host_id:str}/snooze", include_in_schema=False)
async def snooze_host_by_form(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    said = await request.form()
    await _snooze_host(request, host_id, _span_end(request, str(said.get("for", ""))), None)
    return redirect(safe_next(str(said.get("next", "/alerts"))))


@post("/hosts/{host_id:str}/wake", include_in_schema=False)
async def wake_host_by_form(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    await _snooze_host(request, host_id, None, None)
    return redirect(safe_next(str((await request.form()).get("next", "/alerts"))))


# --- API ----------------------------------------------------------------------------------------------------------


@post("/api/v1/alerts/{alert_id:str}/acknowledge", tags=["alerts"], summary="Take care of an alert", status_code=200)
async def acknowledge_alert(
    request: Request[Any, Any, Any], alert_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> AlertReading:
    return await _acknowledge(request, alert_id, idempotency_key)


@post(
    "/api/v1/alerts/{alert_id:str}/snooze",
    tags=["alerts"],
    summary="Tell nobody of an alert for a while",
    status_code=200,
)
async def snooze_alert(
    request: Request[Any, Any, Any],
    alert_id: FromPath[str],
    data: JSONBody[Snooze],
    idempotency_key: IdempotencyKey = None,
) -> AlertReading:
    return await _snooze(request, alert_id, _until(data, site_of(request).now()), idempotency_key)


@delete(
    "/api/v1/alerts/{alert_id:str}/snooze",
    tags=["alerts"],
    summary="End a snooze; channels are told that the alert is open",
    status_code=200,
)
async def wake_alert(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> AlertReading:
    return await _snooze(request, alert_id, None, None)


@post(
    "/api/v1/hosts/{host_id:str}/snooze",
    tags=["alerts"],
    summary="Tell nobody of the alerts of a host for a while, also of those that open meanwhile",
    status_code=200,
)
async def snooze_host(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    data: JSONBody[Snooze],
    idempotency_key: IdempotencyKey = None,
) -> HostReading:
    return await _snooze_host(request, host_id, _until(data, site_of(request).now()), idempotency_key)


@delete("/api/v1/hosts/{host_id:str}/snooze", tags=["alerts"], summary="End the snooze of a host", status_code=200)
async def wake_host(request: Request[Any, Any, Any], host_id: FromPath[str]) -> HostReading:
    return await _snooze_host(request, host_id, None, None)


# --- both ---------------------------------------------------------------------------------------------------------


async def _acknowledge(request: Request[Any, Any, Any], alert_id: str, key: str | None) -> AlertReading:
    site = site_of(request)
    alert, by = find(site.view(), alert_id), request.user.name
    if alert.acknowledged_by is None:
        fact = AlertAcknowledged(at=site.now(), origin=origin(request), alert_id=alert.id, key=alert.key, by=by)
        await site.take([fact], minted(site, request, key)[1])
    return _reading(site.view(), alert)


async def _snooze(
    request: Request[Any, Any, Any], alert_id: str, until: datetime | None, key: str | None
) -> AlertReading:
    site = site_of(request)
    alert = find(site.view(), alert_id)
    if until is not None or alert.snoozed_until is not None:
        await site.take([_snoozed(request, alert, until)], minted(site, request, key)[1])
    return _reading(site.view(), alert)


async def _snooze_host(
    request: Request[Any, Any, Any], host_id: str, until: datetime | None, key: str | None
) -> HostReading:
    """The host and all that is open on it; ending it wakes what was snoozed, one by one or with the host."""
    site = site_of(request)
    view = site.view()
    if host_id not in view.hosts:
        raise Missing("No host has this id.")
    facts: list[Fact] = []
    if until is not None or view.hosts[host_id].snoozed_until is not None:
        at, by = site.now(), request.user.name
        facts.append(HostSnoozed(at=at, origin=origin(request), host_id=host_id, until=until, by=by))
    if view.open_alerts_of_host.get(host_id):
        mine = [alert for alert in view.alerts.values() if alert.host_id == host_id]
        facts += [_snoozed(request, alert, until) for alert in mine if until or alert.snoozed_until]
    if facts:
        await site.take(facts, minted(site, request, key)[1])
    return reader.host_reading(site.view(), host_id)


def find(view: FleetView, alert_id: str) -> Alert:
    """The open alert of this id."""
    alert = next((alert for alert in view.alerts.values() if alert.id == alert_id), None)
    if alert is None:
        raise Missing("No open alert has this id; it may have been resolved.")
    return alert


def _snoozed(request: Request[Any, Any, Any], alert: Alert, until: datetime | None) -> AlertSnoozed:
    return AlertSnoozed(
        at=site_of(request).now(),
        origin=origin(request),
        alert_id=alert.id,
        key=alert.key,
        until=until,
        by=request.user.name,
    )


def _reading(view: FleetView, before: Alert) -> AlertReading:
    """The alert as it is now; as it was, if it was resolved meanwhile."""
    return reader.alert_reading(view, view.alerts.get(before.key, before))


def _span_end(request: Request[Any, Any, Any], word: str) -> datetime:
    if word not in SPANS:
        raise Invalid("for", f"A snooze lasts for one of {', '.join(SPANS)}.")
    return site_of(request).now() + SPANS[word]


def _until(said: Snooze, now: datetime) -> datetime:
    if (said.until is None) == (said.seconds is None):
        raise Invalid("until", "A snooze has an end: give either until or seconds.")
    if said.seconds is not None:
        if not 0 < said.seconds <= LONGEST_SPAN.total_seconds():
            raise Invalid("seconds", f"seconds must be from 1 to {int(LONGEST_SPAN.total_seconds())}.")
        return now + timedelta(seconds=said.seconds)
    until = to_come(said.until, now, "until")
    assert until is not None
    return until


ROUTES = (
    acknowledge_by_form,
    snooze_by_form,
    wake_by_form,
    snooze_host_by_form,
    wake_host_by_form,
    acknowledge_alert,
    snooze_alert,
    wake_alert,
    snooze_host,
    wake_host,
)
