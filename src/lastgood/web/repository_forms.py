"""Pages with which a person adds, changes, tries out and removes a repository; no script is needed.

Comes in: forms. Goes out: the same bodies as the API takes, so the same checks hold; a fault is shown beside its
field, and what was written stays, secrets excepted.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from lastgood.errors import CollectError, ConfigError
from lastgood.model.repository import HUB, Repository, Slot
from lastgood.tools.restic.variables import parse_environment
from lastgood.web import forms, reader
from lastgood.web.faults import Invalid
from lastgood.web.held import held_readings, hold
from lastgood.web.render import page, redirect
from lastgood.web.repositories import added, changed, hosts_to_choose, known, removed, show
from lastgood.web.repository_bodies import HeldBody, NewRepository, RepositoryChange, made_held, made_slot
from lastgood.web.session import site_of


@get("/repositories/new", include_in_schema=False)
async def new_repository_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return _form(request, None, {"where": "file"})


@post("/repositories/new", include_in_schema=False)
async def new_repository(request: Request[Any, Any, Any]) -> Response[bytes]:
    said = await forms.fields(request)
    held = said.get("where") == HUB
    try:
        body = NewRepository(
            name=said.get("name", ""),
            url=said.get("url", ""),
            password_file=None if held else forms.text(said, "password_file"),
            environment_file=None if held else forms.text(said, "environment_file"),
            held=_held(said) if held else None,
            watched_by=forms.text(said, "watched_by"),
        )
        made = await added(request, body, None)
    except Invalid as fault:
        return _form(request, None, said, fault)
    return redirect(f"/repositories/{made.id}")


@get("/repositories/{repository_id:str}/edit", include_in_schema=False)
async def edit_repository_page(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    view = site_of(request).view()
    known(view, repository_id)
    repository = view.repositories[repository_id]
    return _form(request, repository, _as_it_is(repository))


@post("/repositories/{repository_id:str}/edit", include_in_schema=False)
async def edit_repository(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    view = site_of(request).view()
    known(view, repository_id)
    said = await forms.fields(request)
    body = RepositoryChange(
        name=said.get("name", ""),
        url=said.get("url", ""),
        password_file=forms.text(said, "password_file"),
        environment_file=forms.text(said, "environment_file"),
        watched_by=forms.text(said, "watched_by"),
    )
    try:
        await changed(request, repository_id, body)
    except Invalid as fault:
        return _form(request, view.repositories[repository_id], said, fault)
    return redirect(f"/repositories/{repository_id}")


@post("/repositories/{repository_id:str}/credentials", include_in_schema=False)
async def hold_credentials(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    """Fill a slot, or empty it."""
    site = site_of(request)
    known(site.view(), repository_id)
    said = await forms.fields(request)
    try:
        slot = made_slot(said.get("slot", ""))
        held = None if forms.ticked(said, "forget") else made_held(_held(said))
        await hold(request, repository_id, slot, held)
    except Invalid as fault:
        repository = site.view().repositories[repository_id]
        return _form(request, repository, _as_it_is(repository) | {"slot": said.get("slot", "")}, fault)
    return redirect(f"/repositories/{repository_id}/edit")


@post("/repositories/{repository_id:str}/test", include_in_schema=False)
async def try_repository_page(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    """Waits for the agent, then shows the repository with what was seen."""
    site = site_of(request)
    known(site.view(), repository_id)
    host_id = forms.text(await forms.fields(request), "host_id")
    try:
        trial = reader.trial_reading(site.view(), await site.trials.look(repository_id, host_id))
    except CollectError as error:
        return await show(request, repository_id, fault=str(error))
    return await show(request, repository_id, trial=trial)


@post("/repositories/{repository_id:str}/remove", include_in_schema=False)
async def remove_repository_page(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    known(site.view(), repository_id)
    repository = site.view().repositories[repository_id]
    said = await forms.fields(request)
    try:
        if not forms.ticked(said, "sure"):
            raise Invalid("sure", "Tick the box first.")
        await removed(request, repository_id)
    except Invalid as fault:
        fault.field = "sure"
        return _form(request, repository, _as_it_is(repository), fault)
    return redirect("/repositories")


def _held(said: dict[str, str]) -> HeldBody:
    try:
        environment = parse_environment(said.get("environment", ""), "the environment")
    except ConfigError as fault:
        raise Invalid("environment", str(fault)) from None
    return HeldBody(password=said.get("password", "").strip(), environment=environment)


def _as_it_is(repository: Repository) -> dict[str, str]:
    said = (repository.name, repository.url, repository.password_file, repository.environment_file)
    names = ("name", "url", "password_file", "environment_file")
    known_ = {name: value or "" for name, value in zip(names, said, strict=True)}
    return known_ | {"watched_by": repository.watched_by or ""}


def _form(
    request: Request[Any, Any, Any], repository: Repository | None, said: dict[str, str], fault: Invalid | None = None
) -> Response[bytes]:
    site = site_of(request)
    return page(
        request,
        "repository_form.html",
        status=200 if fault is None else 422,
        repository=repository,
        said=forms.given_back(said),
        errors={} if fault is None else {fault.field: str(fault)},
        held=[] if repository is None else held_readings(site, repository.id),
        slots=tuple(Slot),
        hosts=hosts_to_choose(site.view()),
    )


ROUTES = (
    new_repository_page,
    new_repository,
    edit_repository_page,
    edit_repository,
    hold_credentials,
    try_repository_page,
    remove_repository_page,
)
