"""Runs: what was done and how it ended, with the tool's own words; starting one and ending one.

Comes in: requests of people and programs. Goes out: pages and JSON from the same readings. The one rule: what an
agent or restic could not bear is refused here with the field that is wrong.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lastgood.auth.roles import OF_RUNS
from lastgood.errors import AccessError, ConfigError
from lastgood.fleet.fleet import FleetView
from lastgood.hub.wishes import Wish
from lastgood.model.job import Outcome, RunKind, RunStart, Status
from lastgood.tools.restic.orders import RestoreOrder, check_subset
from lastgood.web import lists, past, reader
from lastgood.web.audited import also
from lastgood.web.faults import Invalid, Missing
from lastgood.web.guard import require
from lastgood.web.lists import RunList
from lastgood.web.readings import RunReading
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.site import Site
from lastgood.web.sources import IdempotencyKey, minted
from lastgood.wire.frames import RestoreWish

MOST_PATHS = 1000
LONGEST_PATH = 4096
LATEST = "latest"
ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)

_Word = TypeVar("_Word", Outcome, RunKind, Status)


class RestoreBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to restore: a snapshot's id, or ``latest`` of the source; all of it or the paths of ``include``."""

    snapshot: str
    target: str
    include: list[str] = []


class NewRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run to be started: of a source, or of a repository by one of its hosts."""

    kind: RunKind = RunKind.BACKUP
    source_id: str | None = None
    repository_id: str | None = None
    host_id: str | None = None
    check_subset: str | None = None
    restore: RestoreBody | None = None


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
    asked = request.query_params
    cursor, kind, status = (asked.get(name) or None for name in ("cursor", "kind", "status"))
    wanted_kind, wanted_status = _word("kind", kind, RunKind), _word("status", status, Status)
    is_live = wanted_status in (Status.QUEUED, Status.RUNNING)
    ended, following = (
        ([], None)
        if is_live
        else await past.runs(site, view, limit=lists.ROWS, cursor=cursor, kind=wanted_kind, status=wanted_status)
    )
    live = [] if cursor is not None else _live(site, view, kind=wanted_kind, status=wanted_status)
    query = {"kind": kind, "status": status}
    return page(
        request,
        "runs.html",
        running=[
            reader.queued_reading(view, run) if queued else reader.running_reading(view, run, progress)
            for run, queued in live[: lists.ROWS]
        ],
        runs=ended,
        wanted={"kind": kind or "", "status": status or ""},
        kinds=[one.value for one in RunKind],
        statuses=[one.value for one in Status],
        newest=lists.address("/runs", query) if cursor else None,
        older=lists.address("/runs", {**query, "cursor": following}) if following else None,
    )


@post("/runs", include_in_schema=False)
async def start_run_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The buttons of source and repository pages."""
    form = await request.form()
    said = {key: value for key, value in form.items() if isinstance(value, str) and value}
    kind = _word("kind", said.get("kind"), RunKind)
    if kind is None:
        raise Invalid("kind", f"Say which kind of run: {', '.join(RunKind)}.")
    body = NewRun(
        kind=kind,
        source_id=said.get("source_id"),
        repository_id=said.get("repository_id"),
        check_subset=said.get("check_subset"),
    )
    site = site_of(request)
    require(request, OF_RUNS[kind])
    run_id = await site.start_run(_wish(body, site.view()), request.user.name, None)
    also(request, run_id=run_id)
    return redirect(f"/runs/{run_id}")


@get("/runs/{run_id:str}", include_in_schema=False)
async def run_page(request: Request[Any, Any, Any], run_id: FromPath[str]) -> Response[bytes]:
    found = await _find(site_of(request), run_id)
    return page(request, "run.html", run=found.run, log=found.log)


@post("/runs/{run_id:str}/cancel", include_in_schema=False)
async def cancel_run_page(request: Request[Any, Any, Any], run_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    _known_running(site, run_id)
    await site.cancel(run_id, request.user.name)
    return redirect(f"/runs/{run_id}")


@get("/api/v1/runs", tags=["runs"], summary="Runs that ended, newest first, and those under way or waiting")
async def list_runs(
    request: Request[Any, Any, Any],
    source_id: FromQuery[str | None] = None,
    host_id: FromQuery[str | None] = None,
    repository_id: FromQuery[str | None] = None,
    kind: Annotated[str | None, QueryParameter(description=", ".join(RunKind))] = None,
    status: Annotated[str | None, QueryParameter(description=", ".join(Status))] = None,
    outcome: Annotated[str | None, QueryParameter(description=", ".join(Outcome))] = None,
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> RunList:
    wanted_kind, wanted_status = _word("kind", kind, RunKind), _word("status", status, Status)
    wanted_outcome = _word("outcome", outcome, Outcome)
    site = site_of(request)
    view, progress = site.view(), site.progress()
    of = {"source_id": source_id, "host_id": host_id, "repository_id": repository_id}
    items, following = await past.runs(
        site,
        view,
        limit=lists.check_limit(limit),
        cursor=cursor,
        kind=wanted_kind,
        status=wanted_status,
        outcome=wanted_outcome,
        **of,
    )
    live = [] if wanted_outcome is not None else _live(site, view, kind=wanted_kind, status=wanted_status, **of)
    running = [
        reader.queued_reading(view, run) if queued else reader.running_reading(view, run, progress)
        for run, queued in live[: lists.MOST]
    ]
    return RunList(items=items, running=running, next_cursor=following)


@get("/api/v1/runs/{run_id:str}", tags=["runs"], summary="One run with its log")
async def get_run(request: Request[Any, Any, Any], run_id: FromPath[str]) -> RunWithLog:
    return await _find(site_of(request), run_id)


@post(
    "/api/v1/runs",
    tags=["runs"],
    summary="Start a run: back up, check, unlock, forget, prune, restore",
    status_code=202,
)
async def start_run(
    request: Request[Any, Any, Any], data: JSONBody[NewRun], idempotency_key: IdempotencyKey = None
) -> RunStarted:
    site = site_of(request)
    require(request, OF_RUNS[data.kind])
    if site.only is not None and data.source_id is None:
        raise AccessError("A token for single hosts starts runs of sources; name one.")
    key = None if idempotency_key is None else minted(site, request, idempotency_key)[1]
    run_id = await site.start_run(_wish(data, site.view()), request.user.name, key)
    also(request, run_id=run_id)
    return RunStarted(run_id=run_id)


@post("/api/v1/runs/{run_id:str}/cancel", tags=["runs"], summary="End a run that is under way", status_code=202)
async def cancel_run(request: Request[Any, Any, Any], run_id: FromPath[str]) -> RunStarted:
    site = site_of(request)
    _known_running(site, run_id)
    await site.cancel(run_id, request.user.name)
    return RunStarted(run_id=run_id)


def _wish(body: NewRun, view: FleetView) -> Wish:
    """The wish, with everything that it names known. Raises Missing or Invalid."""
    for what, its_id, known in (
        ("source", body.source_id, view.sources),
        ("repository", body.repository_id, view.repositories),
        ("host", body.host_id, view.hosts),
    ):
        if its_id is not None and its_id not in known:
            raise Missing(f"No {what} has this id; it may have been removed.")
    if body.source_id is None and body.repository_id is None:
        raise Invalid("source_id", "Name a source, or a repository, that the run is about.")
    try:
        subset = None if body.check_subset is None else check_subset(body.check_subset)
    except ConfigError as fault:
        raise Invalid("check_subset", f"{fault}.") from fault
    return Wish(
        kind=body.kind,
        source_id=body.source_id,
        repository_id=body.repository_id,
        host_id=body.host_id,
        check_subset=subset,
        restore=None if body.restore is None else _restore(body.restore),
    )


def _restore(body: RestoreBody) -> RestoreWish:
    if len(body.include) > MOST_PATHS or any(len(path) > LONGEST_PATH for path in (body.target, *body.include)):
        raise Invalid("restore", f"At most {MOST_PATHS} paths of {LONGEST_PATH} characters can be named.")
    snapshot_id = "0" * 8 if body.snapshot == LATEST else body.snapshot
    try:
        RestoreOrder(snapshot_id=snapshot_id, target=body.target, include=body.include)
    except ConfigError as fault:
        raise Invalid("restore", f"This cannot be restored: {fault}.") from fault
    return RestoreWish(snapshot=body.snapshot, target=body.target, include=tuple(body.include))


def _live(
    site: Site,
    view: FleetView,
    *,
    kind: RunKind | None,
    status: Status | None,
    source_id: str | None = None,
    host_id: str | None = None,
    repository_id: str | None = None,
) -> list[tuple[RunStart, bool]]:
    """The runs under way and those that wait, newest first, each with whether it waits."""
    found: list[tuple[RunStart, bool]] = []
    if status in (None, Status.QUEUED):
        found += [(run, True) for run_id, run in site.queued().items() if run_id not in view.running]
    if status in (None, Status.RUNNING):
        found += [(run, False) for run in view.running.values()]
    fitting = [
        (run, queued)
        for run, queued in found
        if kind in (None, run.kind)
        and source_id in (None, run.source_id)
        and host_id in (None, run.host_id)
        and repository_id in (None, run.repository_id)
    ]
    return sorted(fitting, key=lambda pair: pair[0].started_at, reverse=True)


async def _find(site: Site, run_id: str) -> RunWithLog:
    waiting = site.queued().get(run_id)  # before the rest: it may begin meanwhile
    found = await past.run(site, site.view(), run_id)
    if found is not None:
        return RunWithLog(run=found[0], log=found[1])
    if waiting is not None:
        return RunWithLog(run=reader.queued_reading(site.view(), waiting), log="")
    raise Missing("No run has this id; history is kept for as long as the settings say.")


def _known_running(site: Site, run_id: str) -> None:
    if run_id not in site.view().running and run_id not in site.queued():
        raise Missing("No run under way has this id; it may have ended.")


def _word(field: str, said: str | None, words: type[_Word]) -> _Word | None:
    """One of the words that a field takes."""
    if said is None:
        return None
    try:
        return words(said)
    except ValueError:
        raise Invalid(field, f"The {field} is one of {', '.join(words)}.") from None


ROUTES = (runs_page, start_run_page, run_page, cancel_run_page, list_runs, get_run, start_run, cancel_run)
