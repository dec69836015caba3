"""Repositories: where snapshots live; what the newest look said, for people and programs, and how to add one."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lastgood.auth.roles import CREDENTIAL_WRITE
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.removal import needs_it
from lastgood.model.repository import Repository, RepositoryState
from lastgood.service.assignment import too_large, with_repository
from lastgood.web import lists, reader
from lastgood.web.audited import about
from lastgood.web.faults import Conflict, Invalid, Missing
from lastgood.web.guard import require
from lastgood.web.lists import RepositoryList
from lastgood.web.overview import select, worst_first
from lastgood.web.readings import RepositoryReading, TrialReading
from lastgood.web.render import page, redirect
from lastgood.web.repository_bodies import (
    NewRepository,
    RepositoryChange,
    RepositoryTrial,
    changed_repository,
    made_held,
    made_repository,
)
from lastgood.web.session import site_of
from lastgood.web.site import Site
from lastgood.web.sources import IdempotencyKey, minted, origin

_MOST_NAMED, _MOST_HOSTS = 5, 500


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """The repository is known no more; what is stored in it was not touched."""

    repository_id: str
    message: str


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
    return page(
        request,
        "repositories.html",
        sheet=sheet,
        rows=rows,
        q=text,
        open_alerts=len(view.alerts),
        collectors=view.collectors,
    )


@get("/repositories/{repository_id:str}", include_in_schema=False)
async def repository_page(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    return await show(request, repository_id)


async def show(
    request: Request[Any, Any, Any],
    repository_id: str,
    *,
    trial: TrialReading | None = None,
    fault: str | None = None,
) -> Response[bytes]:
    """The repository's page, perhaps with what a trial just saw, or why there was none."""
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
        trial=trial,
        fault=fault,
        hosts=hosts_to_choose(view),
    )


def hosts_to_choose(view: FleetView) -> list[tuple[str, str]]:
    """(id, name) of hosts, by name; of a large fleet the oldest few hundred, for a page must not sort it whole."""
    chosen = sorted(islice(view.hosts.values(), _MOST_HOSTS), key=lambda host: host.name.casefold())
    return [(host.id, host.name) for host in chosen]


@post("/repositories/{repository_id:str}/look", include_in_schema=False)
async def look_into(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    known(site.view(), repository_id)
    await _look(site, repository_id)
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
    return await added(request, data, idempotency_key)


async def added(request: Request[Any, Any, Any], body: NewRepository, key: str | None) -> RepositoryReading:
    """The repository as it is once it is known; for the API and for the form."""
    site = site_of(request)
    now = site.now()
    made_id, request_id = minted(site, request, key)
    before = _by_request(site.view(), made_id) if key else None
    if before is None:
        if body.held is not None:
            require(request, CREDENTIAL_WRITE)
        held = made_held(body.held)
        repository = made_repository(body, site.view(), made_id, now)
        await site.credentials.add(
            repository, held, by=request.user.name, origin=origin(request), request_id=request_id
        )
        before = _by_request(site.view(), made_id)
    if before is None:
        raise Conflict("name", "The repository could not be taken; the hub's log says why.")
    about(request, "repository", before.id, before.name)
    return reader.repository_reading(site.view(), before.id)


@patch("/api/v1/repositories/{repository_id:str}", tags=["repositories"], summary="Change a repository")
async def change_repository(
    request: Request[Any, Any, Any],
    repository_id: FromPath[str],
    data: JSONBody[RepositoryChange],
    idempotency_key: IdempotencyKey = None,
) -> RepositoryReading:
    site = site_of(request)
    known(site.view(), repository_id)
    await changed(request, repository_id, data, idempotency_key)
    return reader.repository_reading(site.view(), repository_id)


async def changed(
    request: Request[Any, Any, Any], repository_id: str, body: RepositoryChange, key: str | None = None
) -> None:
    """Change a repository; for the API and for the form."""
    site = site_of(request)
    check_ours(site.view(), repository_id)
    before = site.view().repositories[repository_id]
    after = changed_repository(before, body, site.view())
    if before.held and (after.url, after.watched_by) != (before.url, before.watched_by):
        require(request, CREDENTIAL_WRITE)  # what the hub holds would be shown to another server, or another host
    await _check_orders(site, after)
    _, request_id = minted(site, request, key)
    await site.credentials.change(
        repository_id,
        lambda before: changed_repository(before, body, site.view()),
        at=site.now(),
        origin=origin(request),
        request_id=request_id,
    )


@delete(
    "/api/v1/repositories/{repository_id:str}",
    tags=["repositories"],
    summary="Forget a repository; its backups stay where they are",
    status_code=200,
)
async def remove_repository(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Removed:
    return await removed(request, repository_id)


async def removed(request: Request[Any, Any, Any], repository_id: str) -> Removed:
    """Forget a repository; for the API and for the page."""
    site = site_of(request)
    view = site.view()
    known(view, repository_id)
    name, url = view.repositories[repository_id].name, view.repositories[repository_id].url
    if view.repository_states.get(repository_id) is not RepositoryState.UNKNOWN:
        check_ours(view, repository_id)  # what its server has told nothing of for long may go
    _check_unused(view, repository_id)
    _, request_id = minted(site, request, None)
    await site.credentials.remove(repository_id, at=site.now(), origin=origin(request), request_id=request_id)
    if repository_id in site.view().repositories:
        raise Conflict("repository_id", f"{name} is used again by now; nothing was removed.")
    message = f"{name} is known here no more. What is stored at {url} was not touched; restic still opens it."
    return Removed(repository_id=repository_id, message=message)


@post(
    "/api/v1/repositories/{repository_id:str}/test",
    tags=["repositories"],
    summary="Have an agent look into a repository now, and wait for what it sees",
    status_code=200,
)
async def try_repository(
    request: Request[Any, Any, Any], repository_id: FromPath[str], data: JSONBody[RepositoryTrial]
) -> TrialReading:
    site = site_of(request)
    known(site.view(), repository_id)
    check_ours(site.view(), repository_id)
    if data.host_id is not None and data.host_id not in site.view().hosts:
        raise Invalid("host_id", "No host has this id; GET /api/v1/hosts lists them.")
    return reader.trial_reading(site.view(), await site.trials.look(repository_id, data.host_id))


@post(
    "/api/v1/repositories/{repository_id:str}/look",
    tags=["repositories"],
    summary="Look into a repository soon",
    status_code=202,
)
async def look_now(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Asked:
    site = site_of(request)
    known(site.view(), repository_id)
    await _look(site, repository_id)
    return Asked(repository_id=repository_id)


async def _look(site: Site, repository_id: str) -> None:
    collector = site.view().repositories[repository_id].collector
    if collector is None:
        await site.look_now(repository_id)
    else:
        site.collectors.want(collector)


def check_ours(view: FleetView, repository_id: str) -> None:
    """What its server tells, and the settings name, is not changed here."""
    repository = view.repositories[repository_id]
    if repository.collector is not None:
        raise Conflict(
            "repository_id",
            f"{repository.name} is told by the collector {repository.collector}; change its server in the settings.",
        )


def known(view: FleetView, repository_id: str) -> None:
    if repository_id not in view.repositories:
        raise Missing("No repository has this id.")


def _check_unused(view: FleetView, repository_id: str) -> None:
    users = [source for i in view.sources_of_repository.get(repository_id, ()) if needs_it(source := view.sources[i])]
    if users:
        names = ", ".join(f"{reader.host_of(view, source)}/{source.name}" for source in users[:_MOST_NAMED])
        more = f" and {len(users) - _MOST_NAMED} more" if len(users) > _MOST_NAMED else ""
        raise Conflict("repository_id", f"These sources are backed up into it: {names}{more}; archive them first.")
    if any(run.repository_id == repository_id for run in view.running.values()):
        raise Conflict("repository_id", "A run is under way in it; cancel that or wait for its end.")


async def _check_orders(site: Site, after: Repository) -> None:
    """Refuse a change after which the orders of some host could not be sent any more."""
    view = with_repository(site.view(), after)
    hosts = {view.sources[i].host_id for i in view.sources_of_repository.get(after.id, ())}

    def check() -> str | None:
        faults = (too_large(view, host_id, site.credentials.access) for host_id in hosts if host_id is not None)
        return next(filter(None, faults), None)

    if (fault := await asyncio.to_thread(check)) is not None:
        raise Invalid("url", fault)


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
    change_repository,
    remove_repository,
    try_repository,
    look_now,
)
