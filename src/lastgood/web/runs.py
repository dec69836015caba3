"""Runs: what was done and how it ended, with the tool's own words; starting one and ending one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lastgood.fleet.fleet import FleetView
from lastgood.model.job import Outcome
from lastgood.web import lists, past, reader
from lastgood.web.bodies import NewRun
from lastgood.web.faults import Invalid, Missing
from lastgood.web.lists import RunList
from lastgood.web.readings import RunReading
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.site import Site
from lastgood.web.sources import known as known_source


class RunWithLog(msgspec.Struct, frozen=True, kw_only=True):
    """A run and what its tool wrote, secrets masked; ``log`` is empty while it runs."""

    run: RunReading
    log: str


class RunStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The agent was asked to begin; the run is known under this id from then on."""

    run_id: str


@get("/runs", include_in_schema=False)
async def runs_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    site = site_of(request)
    view, progress = site.view(), site.progress()
    cursor = request.query_params.get("cursor") or None
    ended, following = await past.runs(site, view, limit=lists.ROWS, cursor=cursor)
    running = sorted(view.running.values(), key=lambda run: run.started_at, reverse=True)[: lists.ROWS]
    return page(
        request,
        "runs.html",
        running=[reader.running_reading(view, run, progress) for run in running] if cursor is None else [],
        runs=ended,
        newest="/runs" if cursor else None,
        older=lists.address("/runs", {"cursor": following}) if following else None,
    )


@get("/runs/{run_id:str}", include_in_schema=False)
async def run_page(request: Request[Any, Any, Any], run_id: FromPath[str]) -> Response[bytes]:
    found = await _find(site_of(request), run_id)
    return page(request, "run.html", run=found.run, log=found.log)


@post("/runs/{run_id:str}/cancel", include_in_schema=False)
async def cancel_run_page(request: Request[Any, Any, Any], run_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    _known_running(site.view(), run_id)
    await site.cancel(run_id, request.user.name)
    return redirect(f"/runs/{run_id}")


@get("/api/v1/runs", tags=["runs"], summary="Runs that ended, newest first, and those under way")
async def list_runs(
    request: Request[Any, Any, Any],
    source_id: FromQuery[str | None] = None,
    host_id: FromQuery[str | None] = None,
    outcome: Annotated[str | None, QueryParameter(description=", ".join(Outcome))] = None,
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> RunList:
    if outcome is not None and outcome not in set(Outcome):
        raise Invalid("outcome", f"The outcomes are {', '.join(Outcome)}.")
    site = site_of(request)
    view, progress = site.view(), site.progress()
    items, following = await past.runs(
        site,
        view,
        limit=lists.check_limit(limit),
        cursor=cursor,
        source_id=source_id,
        host_id=host_id,
        outcome=Outcome(outcome) if outcome else None,
    )
    running = [
        reader.running_reading(view, run, progress)
        for run in view.running.values()
        if source_id in (None, run.source_id) and host_id in (None, run.host_id) and outcome is None
    ]
    return RunList(items=items, running=running[: lists.MOST], next_cursor=following)


@get("/api/v1/runs/{run_id:str}", tags=["runs"], summary="One run with its log")
async def get_run(request: Request[Any, Any, Any], run_id: FromPath[str]) -> RunWithLog:
    return await _find(site_of(request), run_id)


@post("/api/v1/runs", tags=["runs"], summary="Back a source up now", status_code=202)
async def start_run(request: Request[Any, Any, Any], data: JSONBody[NewRun]) -> RunStarted:
    site = site_of(request)
    source = known_source(site.view(), data.source_id)
    return RunStarted(run_id=await site.run_now(source.id, request.user.name))


@post("/api/v1/runs/{run_id:str}/cancel", tags=["runs"], summary="End a run that is under way", status_code=202)
async def cancel_run(request: Request[Any, Any, Any], run_id: FromPath[str]) -> RunStarted:
    site = site_of(request)
    _known_running(site.view(), run_id)
    await site.cancel(run_id, request.user.name)
    return RunStarted(run_id=run_id)


async def _find(site: Site, run_id: str) -> RunWithLog:
    found = await past.run(site, site.view(), run_id)
    if found is None:
        raise Missing("No run has this id; history is kept for as long as the settings say.")
    run, log = found
    return RunWithLog(run=run, log=log)


def _known_running(view: FleetView, run_id: str) -> None:
    if run_id not in view.running:
        raise Missing("No run under way has this id; it may have ended.")


ROUTES = (runs_page, run_page, cancel_run_page, list_runs, get_run, start_run, cancel_run)
