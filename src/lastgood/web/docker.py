"""Container engines of hosts, what runs in them, and which of its data is backed up; for people and programs.

Comes in: requests. Goes out: pages and JSON. The one rule: whether something is covered is asked of
``fleet/coverage.py`` and decided nowhere here; only a person's word takes a place out, with a reason and a name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lastgood.fleet import coverage
from lastgood.fleet.fleet import FleetView
from lastgood.model.docker import Answer, Coverage
from lastgood.model.fact import SubjectExcluded
from lastgood.web import lists
from lastgood.web.docker_readings import (
    ContainerReading,
    CoverageReading,
    EngineReading,
    container_reading,
    coverage_reading,
    engine_reading,
)
from lastgood.web.faults import Invalid, Missing
from lastgood.web.forms import fields
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.sources import IdempotencyKey, minted, origin

LONGEST_REASON = 300
LONGEST_SUBJECT = 2_000
_NO_ENGINE = "No container engine of this host is known; its agent has seen none, or may not look."

PLACE_OF_ANSWER = {answer: place for place, answer in enumerate((Answer.NEVER, Answer.SEEN, Answer.EXCLUDED))}


class ContainerList(msgspec.Struct, frozen=True, kw_only=True):
    """By key. ``next_cursor`` goes into ``cursor`` of the next request; None on the last page."""

    items: list[ContainerReading]
    total: int
    next_cursor: str | None


class CoverageList(msgspec.Struct, frozen=True, kw_only=True):
    """By host and subject. ``next_cursor`` goes into ``cursor`` of the next request; None on the last page."""

    items: list[CoverageReading]
    total: int
    next_cursor: str | None


class Exclude(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``subject`` as the coverage lists name it; ``reason`` is shown wherever the place is."""

    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_SUBJECT)]
    reason: Annotated[str, msgspec.Meta(max_length=LONGEST_REASON)]


class Include(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_SUBJECT)]


@get("/hosts/{host_id:str}/docker", include_in_schema=False)
async def docker_page(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    view = site_of(request).view()
    _known(view, host_id)
    return await asyncio.to_thread(_docker_page, request, view, host_id)


def _docker_page(request: Request[Any, Any, Any], view: FleetView, host_id: str) -> Response[bytes]:
    path, number = f"/hosts/{host_id}/docker", lists.page_number(request)
    sheet = lists.cut(view.docker[host_id].inventory.containers, number, path, {}, lambda one: one.key)
    return page(
        request,
        "docker.html",
        open_alerts=len(view.alerts),
        engine=engine_reading(view, host_id),
        sheet=sheet,
        rows=[container_reading(one) for one in sheet.rows],
    )


@get("/coverage", include_in_schema=False)
async def coverage_page(
    request: Request[Any, Any, Any],
    answer: FromQuery[str] = Answer.NEVER.value,
    host: FromQuery[str] = "",
    q: FromQuery[str] = "",
) -> Response[bytes]:
    wanted, view = Answer(answer) if answer in set(Answer) else None, site_of(request).view()
    if host:
        _known(view, host)  # of a host that nobody has looked at, nothing would be a good answer
    return await asyncio.to_thread(_coverage_page, request, view, wanted, host, q)


def _coverage_page(
    request: Request[Any, Any, Any], view: FleetView, answer: Answer | None, host: str, text: str
) -> Response[bytes]:
    query = {"answer": answer.value if answer else "all", "host": host, "q": text}
    chosen = list(_chosen(view, answer, host, text))
    sheet = lists.cut(chosen, lists.page_number(request), "/coverage", query, lambda one: _place(view, one))
    return page(
        request,
        "coverage.html",
        open_alerts=len(view.alerts),
        sheet=sheet,
        rows=[coverage_reading(view, one) for one in sheet.rows],
        answer=query["answer"],
        host=view.hosts.get(host),
        q=text,
        engines=len(view.docker),
    )


@post("/hosts/{host_id:str}/coverage/exclude", include_in_schema=False)
async def exclude_by_form(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    said = await fields(request)
    await _exclude(request, host_id, said.get("subject", ""), said.get("reason", ""), None)
    return redirect(lists.address("/coverage", {"host": host_id, "answer": "all"}))


@post("/hosts/{host_id:str}/coverage/include", include_in_schema=False)
async def include_by_form(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    said = await fields(request)
    await _exclude(request, host_id, said.get("subject", ""), None, None)
    return redirect(lists.address("/coverage", {"host": host_id, "answer": "all"}))


@get("/api/v1/hosts/{host_id:str}/docker", tags=["docker"], summary="The container engine of a host")
async def get_engine(request: Request[Any, Any, Any], host_id: FromPath[str]) -> EngineReading:
    view = site_of(request).view()
    _known(view, host_id)
    reading = engine_reading(view, host_id)
    assert reading is not None
    return reading


@get("/api/v1/hosts/{host_id:str}/containers", tags=["docker"], summary="The containers of a host, as last seen")
async def list_containers(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> ContainerList:
    view = site_of(request).view()
    _known(view, host_id)
    # Two containers may claim one key by their labels; the id keeps them apart.
    held = {f"{one.key}\n{one.id}": one for one in view.docker[host_id].inventory.containers}
    items, total, following = lists.batch([*held], cursor, limit, lambda key: container_reading(held[key]))
    return ContainerList(items=items, total=total, next_cursor=following)


@get("/api/v1/coverage", tags=["docker"], summary="Volumes and bind mounts, and whether a backup of them is known")
async def list_coverage(
    request: Request[Any, Any, Any],
    answer: FromQuery[Answer | None] = None,
    host_id: FromQuery[str] = "",
    q: Annotated[str, QueryParameter(description="Words that the place, its containers or its host contain.")] = "",
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> CoverageList:
    lists.check_limit(limit)
    return await asyncio.to_thread(_list, site_of(request).view(), answer, host_id, q, limit, cursor)


def _list(
    view: FleetView, answer: Answer | None, host_id: str, text: str, limit: int, cursor: str | None
) -> CoverageList:
    held = {f"{one.host_id}\n{one.subject.key}": one for one in _chosen(view, answer, host_id, text)}
    items, total, following = lists.batch([*held], cursor, limit, lambda key: coverage_reading(view, held[key]))
    return CoverageList(items=items, total=total, next_cursor=following)


@post(
    "/api/v1/hosts/{host_id:str}/coverage/exclude",
    tags=["docker"],
    summary="Say that a volume or bind mount needs no backup, and why",
    status_code=200,
)
async def exclude(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    data: JSONBody[Exclude],
    idempotency_key: IdempotencyKey = None,
) -> CoverageReading:
    return await _exclude(request, host_id, data.subject, data.reason, idempotency_key)


@post(
    "/api/v1/hosts/{host_id:str}/coverage/include",
    tags=["docker"],
    summary="Take back that a volume or bind mount needs no backup",
    status_code=200,
)
async def include(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    data: JSONBody[Include],
    idempotency_key: IdempotencyKey = None,
) -> CoverageReading:
    return await _exclude(request, host_id, data.subject, None, idempotency_key)


async def _exclude(
    request: Request[Any, Any, Any], host_id: str, subject: str, reason: str | None, key: str | None
) -> CoverageReading:
    site = site_of(request)
    view = site.view()
    _known(view, host_id)
    told = coverage.coverage_of(view, host_id, subject)
    if told is None:
        raise Missing(
            "This host has no such volume or bind mount now; write it as it is listed, volume:NAME or bind:PATH."
        )
    if reason is not None:
        reason = reason.strip()
        if not 0 < len(reason) <= LONGEST_REASON:
            raise Invalid("reason", f"Say in up to {LONGEST_REASON} characters why it needs no backup.")
    if reason is not None or told.excluded_by is not None:
        fact = SubjectExcluded(
            at=site.now(),
            origin=origin(request),
            host_id=host_id,
            subject=subject,
            reason=reason,
            by=request.user.name,
        )
        await site.take([fact], minted(site, request, key)[1])
    view = site.view()
    return coverage_reading(view, coverage.coverage_of(view, host_id, subject) or told)


def _chosen(view: FleetView, answer: Answer | None, host_id: str, text: str) -> Iterator[Coverage]:
    for one_id in [host_id] if host_id else view.docker:
        if one_id not in view.hosts:
            continue
        name = view.hosts[one_id].name
        for one in coverage.coverage(view, one_id):
            if answer is not None and one.answer is not answer:
                continue
            if not text or lists.matches(text, name, one.subject.title, *one.subject.users):
                yield one


def _place(view: FleetView, one: Coverage) -> tuple[int, str, str]:
    """What nobody backs up first."""
    return (
        PLACE_OF_ANSWER.get(one.answer, len(PLACE_OF_ANSWER)),
        view.hosts[one.host_id].name.casefold(),
        one.subject.key,
    )


def _known(view: FleetView, host_id: str) -> None:
    if host_id not in view.hosts:
        raise Missing("No host has this id; it may have been removed.")
    if host_id not in view.docker:
        raise Missing(_NO_ENGINE)


ROUTES = (
    docker_page,
    coverage_page,
    exclude_by_form,
    include_by_form,
    get_engine,
    list_containers,
    list_coverage,
    exclude,
    include,
)
