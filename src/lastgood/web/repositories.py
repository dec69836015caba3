"""Repositories: where snapshots live; what the newest look said, for people and programs, and how to add one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lastgood.fleet.fleet import FleetView
from lastgood.model.fact import RepositoryConfigured
from lastgood.model.repository import Repository, RepositoryState
from lastgood.web import lists, reader
from lastgood.web.bodies import NewRepository, made_repository
from lastgood.web.faults import Conflict, Invalid, Missing
from lastgood.web.lists import RepositoryList
from lastgood.web.overview import select, worst_first
from lastgood.web.readings import RepositoryReading
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.sources import IdempotencyKey, minted, origin


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The wish was handed on; ``GET`` the repository to see what came of it."""

    repository_id: str


@get("/repositories", include_in_schema=False)
async def repositories_page(request: Request[Any, Any, Any], q: FromQuery[str] = "") -> Response[bytes]:
    return await asyncio.to_thread(_page, request, site_of(request).view(), q)


def _page(request: Request[Any, Any, Any], view: FleetView, text: str) -> Response[bytes]:
    chosen = _select(view, text)
    sheet = lists.cut(chosen, lists.page_number(request), "/repositories", {"q": text}, partial(_place, view))
    rows = [reader.repository_reading(view, repository_id) for repository_id in sheet.rows]
    return page(request, "repositories.html", sheet=sheet, rows=rows, q=text, open_alerts=len(view.alerts))


@get("/repositories/{repository_id:str}", include_in_schema=False)
async def repository_page(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    view, now, progress = site.view(), site.now(), site.progress()
    known(view, repository_id)
    sources = sorted(select(view, repository=repository_id), key=worst_first(view))
    return page(
        request,
        "repository.html",
        repository=reader.repository_reading(view, repository_id),
        rows=[reader.source_reading(view, source, now, progress) for source in sources[: lists.ROWS]],
        total=len(sources),
        asked="asked" in request.query_params,
    )


@post("/repositories/{repository_id:str}/look", include_in_schema=False)
async def look_into(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    known(site.view(), repository_id)
    await site.look_now(repository_id)
    return redirect(f"/repositories/{repository_id}?asked")


@get("/api/v1/repositories", tags=["repositories"], summary="All repositories, oldest first")
async def list_repositories(
    request: Request[Any, Any, Any],
    wanted: Annotated[str, QueryParameter(name="state", description="up, down or unknown.")] = "",
    q: Annotated[str, QueryParameter(description="Words that name or url contain.")] = "",
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> RepositoryList:
    if wanted and wanted not in set(RepositoryState):
        raise Invalid("state", "A repository is up, down or unknown.")
    return await asyncio.to_thread(_list, site_of(request).view(), wanted, q, limit, cursor)


def _list(view: FleetView, state: str, text: str, limit: int, cursor: str | None) -> RepositoryList:
    chosen = [
        repository_id
        for repository_id in _select(view, text)
        if not state or view.repository_states.get(repository_id, RepositoryState.UNKNOWN) == state
    ]
    items, total, following = lists.batch(chosen, cursor, limit, partial(reader.repository_reading, view))
    return RepositoryList(items=items, total=total, next_cursor=following)


@get("/api/v1/repositories/{repository_id:str}", tags=["repositories"], summary="One repository")
async def get_repository(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> RepositoryReading:
    view = site_of(request).view()
    known(view, repository_id)
    return reader.repository_reading(view, repository_id)


@post("/api/v1/repositories", tags=["repositories"], summary="Add a repository")
async def create_repository(
    request: Request[Any, Any, Any], data: JSONBody[NewRepository], idempotency_key: IdempotencyKey = None
) -> RepositoryReading:
    site = site_of(request)
    now = site.now()
    made_id, request_id = minted(site, request, idempotency_key)
    before = _by_request(site.view(), made_id) if idempotency_key else None
    if before is None:
        repository = made_repository(data, site.view(), made_id, now)
        await site.take([RepositoryConfigured(at=now, origin=origin(request), repository=repository)], request_id)
        before = _by_request(site.view(), made_id)
    if before is None:
        raise Conflict("name", "The repository could not be taken; the hub's log says why.")
    return reader.repository_reading(site.view(), before.id)


@post(
    "/api/v1/repositories/{repository_id:str}/look",
    tags=["repositories"],
    summary="Look into a repository soon",
    status_code=202,
)
async def look_now(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Asked:
    site = site_of(request)
    known(site.view(), repository_id)
    await site.look_now(repository_id)
    return Asked(repository_id=repository_id)


def known(view: FleetView, repository_id: str) -> None:
    if repository_id not in view.repositories:
        raise Missing("No repository has this id.")


def _select(view: FleetView, text: str) -> list[str]:
    return [key for key, found in view.repositories.items() if lists.matches(text, found.name, found.url)]


def _place(view: FleetView, repository_id: str) -> tuple[bool, str]:
    """Those that do not answer first, then by name."""
    up = view.repository_states.get(repository_id) is RepositoryState.UP
    return up, view.repositories[repository_id].name.casefold()


def _by_request(view: FleetView, made_id: str) -> Repository | None:
    return next((found for found in view.repositories.values() if found.id[10:] == made_id[10:]), None)


ROUTES = (
    repositories_page,
    repository_page,
    look_into,
    list_repositories,
    get_repository,
    create_repository,
    look_now,
)
