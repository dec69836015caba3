"""Sources: one source's page, lists and answers for programs, and what a person may change.

Comes in: requests about sources. Goes out: pages and JSON from the same reading. The one rule: a change is a
fact, taken under a request id, and the answer shows what was learned of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from lastgood.errors import AccessError
from lastgood.fleet.fleet import FleetView
from lastgood.ids import is_ulid, ulid
from lastgood.model.fact import SourceConfigured
from lastgood.model.source import Source, State
from lastgood.service.assignment import too_large, with_source
from lastgood.web import lists, past, reader
from lastgood.web.audited import about, also
from lastgood.web.bodies import NewSource, SourceChange, changed_source, made_source
from lastgood.web.faults import Conflict, Invalid, Missing
from lastgood.web.lists import SourceList
from lastgood.web.overview import select
from lastgood.web.readings import MomentReading, SourceReading
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.site import Site
from lastgood.wire.frames import Progress

MOMENTS = 60
RECENT_RUNS = 15
MOST_OWNERS = 200

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=200,
        description="A text of your choice: a second request with it changes nothing and gets the first answer.",
    ),
]


@get("/sources/{source_id:str}", include_in_schema=False)
async def source_page(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    view, now = site.view(), site.now()
    source = known(view, source_id)
    moments = await past.moments(site, source.id, limit=MOMENTS)
    runs, _ = await past.runs(site, view, limit=RECENT_RUNS, source_id=source.id)
    asked = request.query_params.get("asked", "")
    return page(
        request,
        "source.html",
        source=with_orders(site, reader.source_reading(view, source, now, site.progress())),
        moments=moments[::-1],
        runs=runs,
        alerts=[
            reader.alert_reading(view, alert) for alert in view.alerts.values() if alert.key.entity_id == source.id
        ],
        online=view.online.get(source.host_id or ""),
        owners=owners_of(view, source),
        waiting=is_ulid(asked) and asked not in view.running and all(run.id != asked for run in runs),
    )


@post("/sources/{source_id:str}/run", include_in_schema=False)
async def run_source(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    """The button; the page then shows the run as soon as the agent has begun it."""
    site = site_of(request)
    source = known(site.view(), source_id)
    run_id = await site.run_now(source.id, request.user.name)
    also(request, run_id=run_id)
    return redirect(f"/sources/{source.id}?asked={run_id}")


@get("/api/v1/sources", tags=["sources"], summary="All sources, oldest first")
async def list_sources(
    request: Request[Any, Any, Any],
    states: Annotated[str, QueryParameter(name="state", description="One state, or several with commas.")] = "",
    host_id: FromQuery[str] = "",
    repository_id: FromQuery[str] = "",
    q: Annotated[str, QueryParameter(description="Words that name, host or paths contain.")] = "",
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> SourceList:
    for word in filter(None, states.split(",")):
        if word not in set(State):
            raise Invalid("state", f"{word[:40]!r} is no state; the states are {', '.join(State)}.")
    site = site_of(request)
    fits = partial(select, state=states or ",".join(State), host=host_id, repository=repository_id, text=q)
    found = await asyncio.to_thread(_list, site.view(), site.now(), dict(site.progress()), fits, limit, cursor)
    items = [with_orders(site, reading) for reading in found.items]
    return SourceList(items=items, total=found.total, next_cursor=found.next_cursor)


def _list(
    view: FleetView,
    now: datetime,
    progress: dict[str, Progress],
    fits: Callable[[FleetView], list[Source]],
    limit: int,
    cursor: str | None,
) -> SourceList:
    chosen = {source.id: source for source in fits(view)}

    def read(source_id: str) -> SourceReading:
        return reader.source_reading(view, chosen[source_id], now, progress)

    items, total, following = lists.batch(tuple(chosen), cursor, limit, read)
    return SourceList(items=items, total=total, next_cursor=following)


@get("/api/v1/sources/{source_id:str}", tags=["sources"], summary="One source")
async def get_source(request: Request[Any, Any, Any], source_id: FromPath[str]) -> SourceReading:
    site = site_of(request)
    return _read(site, source_id)


@get("/api/v1/sources/{source_id:str}/moments", tags=["sources"], summary="Its last expected runs, newest first")
async def source_moments(
    request: Request[Any, Any, Any], source_id: FromPath[str], limit: FromQuery[int] = lists.DEFAULT_LIMIT
) -> list[MomentReading]:
    site = site_of(request)
    source = known(site.view(), source_id)
    return await past.moments(site, source.id, limit=lists.check_limit(limit))


@post("/api/v1/sources", tags=["sources"], summary="Make a source")
async def create_source(
    request: Request[Any, Any, Any], data: JSONBody[NewSource], idempotency_key: IdempotencyKey = None
) -> SourceReading:
    return await added(request, data, idempotency_key)


async def added(request: Request[Any, Any, Any], body: NewSource, key: str | None) -> SourceReading:
    """The source as it is once it is known; for the API and for the form."""
    site = site_of(request)
    now = site.now()
    made_id, request_id = minted(site, request, key)
    before = _by_request(site.view(), made_id) if key else None
    if before is None:
        source = made_source(body, site.view(), made_id, now)
        await _check_orders(site, source)
        await site.take([SourceConfigured(at=now, origin=origin(request), source=source)], request_id)
        before = site.view().sources.get(made_id) or _by_request(site.view(), made_id)
    if before is None:
        raise Conflict("name", "The source could not be taken; look at the quarantine count and the hub's log.")
    about(request, "source", before.id, before.name)
    return _read(site, before.id)


@patch("/api/v1/sources/{source_id:str}", tags=["sources"], summary="Change, pause or archive a source")
async def change_source(
    request: Request[Any, Any, Any],
    source_id: FromPath[str],
    data: JSONBody[SourceChange],
    idempotency_key: IdempotencyKey = None,
) -> SourceReading:
    return await changed(request, source_id, data, idempotency_key)


async def changed(
    request: Request[Any, Any, Any], source_id: str, body: SourceChange, key: str | None = None
) -> SourceReading:
    """The source as it is once it is changed; for the API and for the form."""
    site = site_of(request)
    view, now = site.view(), site.now()
    before = known(view, source_id)
    after = changed_source(before, body, view, request.user.name, now)
    if after != before:
        await _check_orders(site, after)
        _, request_id = minted(site, request, key)
        await site.take([SourceConfigured(at=now, origin=origin(request), source=after)], request_id)
    return _read(site, source_id)


async def _check_orders(site: Site, source: Source) -> None:
    """Refuse a source with which the orders of its host could not be sent to its agent any more."""
    if source.host_id is None or source.archived_by is not None:
        return
    view = with_source(site.view(), source)
    fault = await asyncio.to_thread(too_large, view, source.host_id, site.credentials.access)
    if fault is not None:
        raise Invalid("paths", fault)


def known(view: FleetView, source_id: str) -> Source:
    source = view.sources.get(source_id)
    if source is None:
        raise Missing("No source has this id; it may have been removed with its host.")
    return source


def owners_of(view: FleetView, source: Source) -> list[tuple[str, str]]:
    """(id, name) of the sources that may adopt this one; those that agents make come first."""
    if not source.is_found or source.collected is not None:
        return []
    others = (view.sources[i] for i in view.sources_of_repository.get(source.repository_id, ()) if i != source.id)
    named = sorted(
        (other.is_found, other.archived_by is not None, f"{reader.host_of(view, other)}: {other.name}", other.id)
        for other in others
    )
    return [(other_id, name) for _, _, name, other_id in named[:MOST_OWNERS]]


def origin(request: Request[Any, Any, Any]) -> str:
    return f"person:{request.user.name}"


def minted(site: Site, request: Request[Any, Any, Any], key: str | None) -> tuple[str, str]:
    """An id for what is made, and the request id; with the caller's key the random part follows from it."""
    if key is None:
        made_id = ulid(site.now())
        return made_id, made_id
    if not key.isprintable() or not key:
        raise AccessError("The Idempotency-Key must be printable text.", status=400)
    who = request.user
    name = who.name if who.kind == "person" else f"{who.kind} {who.id}"  # a token may be called like a person
    said = "\n".join((name, request.method, request.scope["path"], key))
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
    return ulid(site.now(), digest[:10]), "key:" + digest.hex()


def _by_request(view: FleetView, made_id: str) -> Source | None:
    """The source that an earlier request with the same key made: another moment, the same random part."""
    return next((source for source in view.sources.values() if source.id[10:] == made_id[10:]), None)


def _read(site: Site, source_id: str) -> SourceReading:
    view = site.view()
    return with_orders(site, reader.source_reading(view, known(view, source_id), site.now(), site.progress()))


def with_orders(site: Site, reading: SourceReading) -> SourceReading:
    """The reading with what its host's agent says of its orders."""
    if reading.host_id is None:
        return reading
    told = site.orders.told(reading.host_id)
    return msgspec.structs.replace(reading, orders_taken=told.taken, orders_refused=told.refusal_of(reading.name))


ROUTES = (
    source_page,
    run_source,
    list_sources,
    get_source,
    source_moments,
    create_source,
    change_source,
)
