"""Pages with which a person adds, changes, pauses and archives a source; no script is needed.

Comes in: forms. Goes out: the same bodies as the API takes, so the same checks hold; a fault is shown beside its
field, and what was written stays.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from lastgood.fleet.fleet import FleetView
from lastgood.model.source import Source
from lastgood.web import forms
from lastgood.web.bodies import KEEP_COUNTS, KeepBody, NewSource, ScheduleBody, SourceChange
from lastgood.web.faults import Invalid, Missing
from lastgood.web.reader import host_name
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.sources import added, changed, known

_MOST_REPOSITORIES = 500
_LONGEST_PAUSE_DAYS = 3650
CRONS = (
    ("0 2 * * *", "every night at two"),
    ("0 */6 * * *", "every six hours"),
    ("0 * * * *", "every hour"),
    ("30 1 * * sun", "on Sundays"),
    ("0 3 1 * *", "on the first of the month"),
)


@get("/hosts/{host_id:str}/sources/new", include_in_schema=False)
async def new_source_page(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    view = site_of(request).view()
    _known_host(view, host_id)
    return _form(request, host_id, None, {"cron": CRONS[0][0], "zone": _usual_zone(view)})


@post("/hosts/{host_id:str}/sources/new", include_in_schema=False)
async def new_source(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    view = site_of(request).view()
    _known_host(view, host_id)
    said = await forms.fields(request)
    paths = forms.lines(said, "paths")
    try:
        body = NewSource(
            host_id=host_id,
            repository_id=said.get("repository_id", ""),
            name=forms.text(said, "name") or _usual_name(view, host_id, paths, said.get("repository_id", "")),
            paths=paths,
            excludes=forms.lines(said, "excludes"),
            schedule=_schedule(said),
            target_seconds=forms.hours(said, "target_seconds"),
            grace_seconds=forms.hours(said, "grace_seconds"),
            accept_partial=forms.ticked(said, "accept_partial"),
            keep=_keep(said),
        )
        made = await added(request, body, None)
    except Invalid as fault:
        return _form(request, host_id, None, said, fault)
    return redirect(f"/sources/{made.id}")


@get("/sources/{source_id:str}/edit", include_in_schema=False)
async def edit_source_page(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    source = _configured(site_of(request).view(), source_id)
    return _form(request, source.host_id or "", source, _as_it_is(source))


@post("/sources/{source_id:str}/edit", include_in_schema=False)
async def edit_source(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    source = _configured(site_of(request).view(), source_id)
    said = await forms.fields(request)
    try:
        body = SourceChange(
            name=said.get("name", ""),
            paths=forms.lines(said, "paths"),
            excludes=forms.lines(said, "excludes"),
            schedule=_schedule(said),
            target_seconds=forms.hours(said, "target_seconds"),
            grace_seconds=forms.hours(said, "grace_seconds"),
            accept_partial=forms.ticked(said, "accept_partial"),
            keep=_keep(said),
        )
        await changed(request, source_id, body)
    except Invalid as fault:
        return _form(request, source.host_id or "", source, said, fault)
    return redirect(f"/sources/{source_id}")


@post("/sources/{source_id:str}/target", include_in_schema=False)
async def set_target(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    """For a source that was found or is told of, which has no form of its own; nothing takes the target away."""
    known(site_of(request).view(), source_id)
    target = forms.hours(await forms.fields(request), "target_seconds")
    await changed(request, source_id, SourceChange(target_seconds=target))
    return redirect(f"/sources/{source_id}")


@post("/sources/{source_id:str}/pause", include_in_schema=False)
async def pause_source(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    """For so many days from now; none ends the pause."""
    site = site_of(request)
    known(site.view(), source_id)
    said = await forms.fields(request)
    days = 0 if forms.ticked(said, "resume") else forms.whole(said, "days")
    if not forms.ticked(said, "resume") and not 1 <= days <= _LONGEST_PAUSE_DAYS:
        raise Invalid("days", f"A pause lasts from 1 to {_LONGEST_PAUSE_DAYS} days.")
    until = site.now() + timedelta(days=days) if days else None
    await changed(request, source_id, SourceChange(paused_until=until))
    return redirect(f"/sources/{source_id}")


@post("/sources/{source_id:str}/archive", include_in_schema=False)
async def archive_source(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    known(site_of(request).view(), source_id)
    said = await forms.fields(request)
    await changed(request, source_id, SourceChange(archived=not forms.ticked(said, "bring_back")))
    return redirect(f"/sources/{source_id}")


def _schedule(said: dict[str, str]) -> ScheduleBody | None:
    cron = forms.text(said, "cron")
    return None if cron is None else ScheduleBody(cron=cron, zone=forms.text(said, "zone") or "UTC")


def _keep(said: dict[str, str]) -> KeepBody | None:
    """The retention of the form; None if all its fields are empty, which forgets nothing."""
    counts = {name: forms.whole(said, f"keep_{name}") for name in KEEP_COUNTS}
    within = forms.text(said, "keep_within")
    return KeepBody(**counts, within=within) if any(counts.values()) or within else None


def _as_it_is(source: Source) -> dict[str, str]:
    said = {
        "name": source.name,
        "paths": "\n".join(source.paths),
        "excludes": "\n".join(source.excludes),
        "cron": source.schedule.cron if source.schedule else "",
        "zone": source.schedule.zone if source.schedule else "UTC",
        "target_seconds": _in_hours(source.target),
        "grace_seconds": _in_hours(source.grace),
    }
    if source.accept_partial:
        said["accept_partial"] = "on"
    if source.keep is not None:
        said |= {f"keep_{name}": str(getattr(source.keep, name) or "") for name in KEEP_COUNTS}
        said["keep_within"] = source.keep.within or ""
    return said


def _usual_name(view: FleetView, host_id: str, paths: list[str], repository_id: str) -> str:
    """The first path; with the repository's name where the host has such a source, which goes elsewhere."""
    if not paths:
        return "nothing"  # that there is no path is the fault that is told
    taken = {view.sources[i].name.casefold() for i in view.sources_of_host.get(host_id, ())}
    if paths[0].casefold() not in taken or repository_id not in view.repositories:
        return paths[0]
    return f"{paths[0]} ({view.repositories[repository_id].name})"


def _in_hours(length: timedelta | None) -> str:
    return "" if length is None else f"{length.total_seconds() / 3600:.6g}"


def _usual_zone(view: FleetView) -> str:
    """The zone of a schedule that is there already: whoever has one zone has it everywhere."""
    schedules = (source.schedule for source in view.sources.values() if source.schedule is not None)
    known_one = next(schedules, None)
    return known_one.zone if known_one is not None else "UTC"


def _known_host(view: FleetView, host_id: str) -> None:
    if host_id not in view.hosts:
        raise Missing("No host has this id; it may have been removed.")


def _configured(view: FleetView, source_id: str) -> Source:
    source = known(view, source_id)
    if source.host_id is None:
        raise Missing("This source was found in its repository; it is changed where it runs.")
    return source


def _form(
    request: Request[Any, Any, Any],
    host_id: str,
    source: Source | None,
    said: dict[str, str],
    fault: Invalid | None = None,
) -> Response[bytes]:
    view = site_of(request).view()
    some = islice(
        (one for one in view.repositories.values() if one.collector is None), _MOST_REPOSITORIES
    )  # a page must not sort very many
    repositories = sorted(some, key=lambda one: one.name.casefold())
    field = "" if fault is None else {"schedule": "cron", "keep": "keep_last"}.get(fault.field, fault.field)
    return page(
        request,
        "source_form.html",
        status=200 if fault is None else 422,
        host_id=host_id,
        host=host_name(view, host_id),
        source=source,
        said=said,
        errors={} if fault is None else {field: str(fault)},
        repositories=[(one.id, one.name) for one in repositories],
        crons=CRONS,
        counts=KEEP_COUNTS,
    )


ROUTES = (
    new_source_page,
    new_source,
    edit_source_page,
    edit_source,
    set_target,
    pause_source,
    archive_source,
)
