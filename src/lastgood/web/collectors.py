"""Collectors: which servers the hub asks, how each question fares, and what keeps it from knowing more.

Comes in: timetables and pictures of the running hub. Goes out: ``CollectorReading``, for people and programs. The one
rule: a picture is of any tool; what it does not have is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get

from lastgood.collect.timetable import ProbeFacts
from lastgood.fleet.fleet import FleetView
from lastgood.model.collected import CollectorHealth
from lastgood.service.collectors import newest_success
from lastgood.web.readings import CollectorReading, ProbeReading
from lastgood.web.render import page
from lastgood.web.session import site_of
from lastgood.web.site import Site

MOST_MISSING = 50


class CollectorList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them: there are as many as servers in the settings."""

    items: list[CollectorReading]
    total: int


@get("/collectors", include_in_schema=False)
async def collectors_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    site = site_of(request)
    view = site.view()
    return page(request, "collectors.html", rows=readings(site, view), open_alerts=len(view.alerts))


@get("/api/v1/collectors", tags=["repositories"], summary="Servers that the hub asks, and how each question fares")
async def list_collectors(request: Request[Any, Any, Any]) -> CollectorList:
    site = site_of(request)
    items = readings(site, site.view())
    return CollectorList(items=items, total=len(items))


def readings(site: Site, view: FleetView) -> list[CollectorReading]:
    repositories: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for repository in view.repositories.values():
        if repository.collector is not None:
            repositories[repository.collector] += 1
            sources[repository.collector] += len(view.sources_of_repository.get(repository.id, ()))
    pictures, probes = site.collectors.pictures, site.collectors.probes
    return [
        _reading(
            name,
            view.collectors.get(name, CollectorHealth()),
            pictures.get(name),
            probes[name],
            repositories[name],
            sources[name],
        )
        for name in site.collectors.names
    ]


def _reading(
    name: str,
    health: CollectorHealth,
    picture: object,
    probes: Mapping[str, ProbeFacts],
    repositories: int,
    sources: int,
) -> CollectorReading:
    missing = getattr(picture, "missing", None)
    message = health.message or next((one.message for one in probes.values() if one.message), None)
    succeeded_at = newest_success(probes)
    return CollectorReading(
        name=name,
        state=_state(health, picture, succeeded_at),
        message=message or getattr(picture, "message", None),
        failing_since=health.failing_since,
        succeeded_at=succeeded_at,
        expected_off=health.expected_off,
        missing=None if missing is None else tuple(missing)[:MOST_MISSING],
        truncated=getattr(picture, "truncated", 0),
        pending=getattr(picture, "pending_groups", 0),
        repositories=repositories,
        sources=sources,
        probes=tuple(_probe(probe, facts) for probe, facts in probes.items()),
    )


def _state(health: CollectorHealth, picture: object, succeeded_at: datetime | None) -> str:
    """A question that asked nothing, for want of something to ask about, went well and shows nothing."""
    if health.failing_since is not None:
        return "failing"
    return "up" if getattr(picture, "up", succeeded_at is not None) else "unknown"


def unanswered(site: Site) -> list[str]:
    """Servers that were asked and do not answer now, but for those that are off on purpose at times."""
    return [
        name
        for name, picture in site.collectors.pictures.items()
        if not getattr(picture, "up", True)
        and getattr(picture, "message", None)
        and not site.collectors.is_expected_off(name)
    ]


def _probe(name: str, facts: ProbeFacts) -> ProbeReading:
    return ProbeReading(
        name=name,
        interval_seconds=facts.interval.total_seconds(),
        success=facts.success,
        took_seconds=facts.took_seconds,
        ended_at=facts.ended_at,
        succeeded_at=facts.succeeded_at,
        failing_since=facts.failing_since,
        message=facts.message,
        rounds=facts.rounds,
        failures=facts.failures,
    )


ROUTES = (collectors_page, list_collectors)
