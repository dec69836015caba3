"""The API of stacks: deploy, stop and restart compose projects, their texts, and how each deploy went.

Comes in: requests with texts. Goes out: JSON. The one rule: a text is answered by one route alone, and a text or name
that the agent would refuse is refused here with its field, before anything is asked of anybody.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from lastgood.errors import ConfigError
from lastgood.model.docker import StackState
from lastgood.model.stack import StackAction, StackKey
from lastgood.service.stacks import StackWish, Written
from lastgood.store import stacks as rows
from lastgood.tools.docker import text as texts
from lastgood.web import lists, past
from lastgood.web.audited import about
from lastgood.web.faults import Invalid, Missing
from lastgood.web.session import site_of
from lastgood.web.site import Site
from lastgood.web.sources import IdempotencyKey, minted, origin
from lastgood.web.stack_readings import (
    DeployAsked,
    DeployList,
    DeployWithLog,
    StackList,
    StackPage,
    StackReading,
    TextList,
    TextReading,
    TextRow,
    deploy_reading,
    every_stack,
    stack_readings,
)

MOST_SECONDS = 7200.0
_STACKS = "/api/v1/hosts/{host_id:str}/stacks"
_STACK = f"{_STACKS}/{{project:str}}"
_DEPLOY = f"{_STACK}/deploys/{{deploy_id:str}}"


class NewDeploy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text with its ``.env``, or the number of one that was deployed before.

    With ``wait`` it has ended once all is healthy. ``take_over`` allows a project that runs from another folder.
    """

    text: str | None = None
    env: str | None = None
    text_number: Annotated[int, msgspec.Meta(ge=1)] | None = None
    wait: bool = True
    take_over: bool = False
    seconds: Annotated[float, msgspec.Meta(ge=10, le=MOST_SECONDS)] = 900.0


@get("/api/v1/stacks", tags=["stacks"], summary="The stacks of all hosts")
async def list_every_stack(
    request: Request[Any, Any, Any],
    wanted: Annotated[str, QueryParameter(name="state", description="One state, such as error.")] = "",
    q: Annotated[str, QueryParameter(description="Words that the stack or its host contain.")] = "",
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> StackPage:
    site = site_of(request)
    lists.check_limit(limit)
    if wanted and wanted not in [*StackState]:
        raise Invalid("state", f"{wanted[:40]!r} is no state; the states are {', '.join(StackState)}.")
    kept = await site.read(rows.every_project)
    held = await asyncio.to_thread(every_stack, site.view(), kept, wanted, q)
    items, total, following = lists.batch([*held], cursor, limit, lambda key: held[key])
    return StackPage(items=items, total=total, next_cursor=following)


@get(_STACKS, tags=["stacks"], summary="The stacks of a host, by name")
async def list_stacks(request: Request[Any, Any, Any], host_id: FromPath[str]) -> StackList:
    site = site_of(request)
    known_host(site, host_id)
    kept = await site.read(partial(rows.list_projects, host_id=host_id))
    return StackList(items=stack_readings(site.view(), host_id, kept))


@post(f"{_STACK}/deploy", tags=["stacks"], summary="Deploy a stack, or an earlier text of it again", status_code=202)
async def deploy_stack(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    project: FromPath[str],
    data: JSONBody[NewDeploy],
    idempotency_key: IdempotencyKey = None,
) -> DeployAsked:
    return await asked(request, await wish_of(site_of(request), (host_id, project), data), idempotency_key)


@post(f"{_STACK}/stop", tags=["stacks"], summary="Stop the containers of a stack", status_code=202)
async def stop_stack(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    project: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> DeployAsked:
    return await asked(request, turned(StackAction.STOP, host_id, project), idempotency_key)


@post(f"{_STACK}/restart", tags=["stacks"], summary="Restart the containers of a stack", status_code=202)
async def restart_stack(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    project: FromPath[str],
    idempotency_key: IdempotencyKey = None,
) -> DeployAsked:
    return await asked(request, turned(StackAction.RESTART, host_id, project), idempotency_key)


@delete(_STACK, tags=["stacks"], summary="Forget texts and history of a stack; its containers are not touched")
async def forget_stack(request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str]) -> None:
    site = site_of(request)
    known_host(site, host_id)
    await forgotten(request, (host_id, project))


@get(f"{_STACK}/deploys", tags=["stacks"], summary="What was deployed, stopped and restarted, newest first")
async def list_deploys(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    project: FromPath[str],
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> DeployList:
    site = site_of(request)
    known_host(site, host_id)
    return await deploys_of(site, (host_id, project), limit=lists.check_limit(limit), cursor=cursor)


@get(_DEPLOY, tags=["stacks"], summary="One deploy with its log, live while it runs")
async def get_deploy(
    request: Request[Any, Any, Any],
    host_id: FromPath[str],
    project: FromPath[str],
    deploy_id: FromPath[str],
    since: FromQuery[int] = 0,
) -> DeployWithLog:
    return await find_deploy(site_of(request), (host_id, project), deploy_id, since)


@post(f"{_DEPLOY}/cancel", tags=["stacks"], summary="End a deploy that waits or is under way", status_code=202)
async def cancel_deploy(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str], deploy_id: FromPath[str]
) -> DeployAsked:
    site = site_of(request)
    await find_deploy(site, (host_id, project), deploy_id)
    about_stack(request, (host_id, project), deploy_id=deploy_id)
    await site.stacks.cancel(host_id, deploy_id, request.user.name)
    return DeployAsked(deploy_id=deploy_id)


@get(f"{_STACK}/texts", tags=["stacks"], summary="The texts of a stack that are kept, by number")
async def list_texts(request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str]) -> TextList:
    site = site_of(request)
    known_host(site, host_id)
    return TextList(items=await texts_of(site, (host_id, project)))


@get(f"{_STACK}/texts/{{number:int}}", tags=["stacks"], summary="A text in clear, for who may deploy it")
async def get_text(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str], number: FromPath[int]
) -> TextReading:
    site = site_of(request)
    known_host(site, host_id)
    found = await site.stacks.text((host_id, project), number)
    if found is None:
        raise Missing("No text of this number is kept; list those that are.")
    return TextReading(number=found[0], text=found[1].text, env=found[1].env)


# --- for the pages as well ----------------------------------------------------------------------------------------


def known_host(site: Site, host_id: str) -> None:
    if host_id not in site.view().hosts:
        raise Missing("No host has this id; it may have been removed.")


async def wish_of(site: Site, key: StackKey, body: NewDeploy) -> StackWish:
    """The wish, its text looked at. Raises Invalid."""
    check_project(key[1])
    if (body.text is None) is (body.text_number is None):
        raise Invalid("text", "Give a text, or the number of one that was deployed before.")
    if body.text_number is not None and body.env is not None:
        raise Invalid("env", "A text of an earlier deploy brings its own .env; leave this one out.")
    if body.text is not None:
        try:
            await asyncio.to_thread(texts.check_text, body.text, body.env)
        except ConfigError as fault:
            raise Invalid("env" if ".env" in str(fault) else "text", str(fault)) from fault
    return StackWish(
        action=StackAction.DEPLOY,
        host_id=key[0],
        project=key[1],
        written=None if body.text is None else Written(text=body.text, env=body.env),
        text_number=body.text_number,
        wait=body.wait,
        take_over=body.take_over,
        seconds=body.seconds,
    )


def turned(action: StackAction, host_id: str, project: str) -> StackWish:
    """A wish without a text. Raises Invalid."""
    check_project(project)
    return StackWish(action=action, host_id=host_id, project=project)


def check_project(project: str) -> None:
    try:
        texts.check_project(project)
    except ConfigError as fault:
        raise Invalid("project", str(fault)) from fault


async def asked(request: Request[Any, Any, Any], wish: StackWish, key: str | None) -> DeployAsked:
    site = site_of(request)
    known_host(site, wish.host_id)
    if wish.action is not StackAction.DEPLOY:
        await _check_known(site, wish.key)
    request_key = None if key is None else minted(site, request, key)[1]
    deploy_id = await site.stacks.start(wish, request.user.name, request_key)
    about_stack(request, wish.key, deploy_id=deploy_id)
    return DeployAsked(deploy_id=deploy_id)


async def forgotten(request: Request[Any, Any, Any], key: StackKey) -> None:
    """Raises Missing if nothing is kept of it."""
    site = site_of(request)
    found = await _named(site, key)
    if found is None or not found.deployed:
        raise Missing(f"Nothing is kept of a stack {key[1]!r} on {site.view().hosts[key[0]].name}.")
    about_stack(request, key)
    await site.stacks.forget(key, origin(request))


async def _named(site: Site, key: StackKey) -> StackReading | None:
    kept = await site.read(partial(rows.list_projects, host_id=key[0]))
    return next((one for one in stack_readings(site.view(), key[0], kept) if one.project == key[1]), None)


async def _check_known(site: Site, key: StackKey) -> None:
    """Of a name that nobody has compose would say that all went well. Raises Missing."""
    view = site.view()
    if key[0] in view.docker and await _named(site, key) is None:  # else nothing is known of the containers there
        raise Missing(f"There is no stack {key[1]!r} on {view.hosts[key[0]].name}; look at the list of its stacks.")


def about_stack(request: Request[Any, Any, Any], key: StackKey, **details: str) -> None:
    """For the audit log, whose rows name host and project."""
    host = site_of(request).view().hosts.get(key[0])
    name = f"{key[1]} on {host.name}" if host is not None else key[1]
    about(request, "stack", f"{key[0]}/{key[1]}", name, who=None, **details)


async def find_deploy(site: Site, key: StackKey, deploy_id: str, since: int = 0) -> DeployWithLog:
    """Raises Missing for one that is not of this stack."""
    known_host(site, key[0])
    lines, following = site.deploy_words.since(deploy_id, max(since, 0))  # before the rest: it may end meanwhile
    found = await site.read_in_step(partial(rows.find_deploy, deploy_id=deploy_id))
    if found is None or (found[0].host_id, found[0].project) != key:
        raise Missing("No deploy of this stack has this id; history is kept for as long as the settings say.")
    reading = deploy_reading(site.view(), *found)
    log = found[1] if found[0].deploy is not None else ""
    return DeployWithLog(deploy=reading, log=log, lines=[] if reading.outcome else lines, next=following)


async def deploys_of(site: Site, key: StackKey, *, limit: int, cursor: str | None = None) -> DeployList:
    after = past.decode_cursor(cursor)
    found, more = await site.read_in_step(partial(rows.list_deploys, key=key, after=after, limit=limit))
    view = site.view()
    return DeployList(items=[deploy_reading(view, one) for one in found], next_cursor=past.encode_cursor(more))


async def texts_of(site: Site, key: StackKey) -> list[TextRow]:
    found = await site.read(partial(rows.list_texts, key=key))
    return [TextRow(number=number, at=at, by=by) for number, at, by in found]


ROUTES = (
    list_every_stack,
    list_stacks,
    deploy_stack,
    stop_stack,
    restart_stack,
    forget_stack,
    list_deploys,
    get_deploy,
    cancel_deploy,
    list_texts,
    get_text,
)
