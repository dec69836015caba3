"""The pages of stacks: those of a host, one with its form and history, and one deploy with its log.

Comes in: requests of people. Goes out: pages from the same readings as the API's. The one rule: the text of a stack
stands in a page for those who may deploy, and for nobody else.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec.structs import replace

from lastgood.auth.roles import STACK_DEPLOY
from lastgood.errors import ConfigError, LastgoodError, Refused
from lastgood.model.stack import StackAction, StackKey
from lastgood.service.stacks import Written
from lastgood.store import stacks as rows
from lastgood.web import forms
from lastgood.web.faults import Invalid, Missing
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.stack_readings import stack_readings
from lastgood.web.stacks import (
    NewDeploy,
    about_stack,
    asked,
    check_project,
    deploys_of,
    find_deploy,
    forgotten,
    known_host,
    texts_of,
    turned,
    wish_of,
)

RECENT = 25
_STACKS = "/hosts/{host_id:str}/stacks"
_STACK = f"{_STACKS}/{{project:str}}"


@get(_STACKS, include_in_schema=False)
async def stacks_page(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    return await _stacks_page(request, host_id)


@post(_STACKS, include_in_schema=False)
async def new_stack_page(request: Request[Any, Any, Any], host_id: FromPath[str]) -> Response[bytes]:
    """A stack that is not known yet, with its name in the form."""
    said = await forms.fields(request)
    project = said.get("project", "").strip()
    try:
        return await _deployed(request, (host_id, project), said)
    except (Invalid, Refused) as fault:
        return await _stacks_page(request, host_id, fault, said)


@get(_STACK, include_in_schema=False)
async def stack_page(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str]
) -> Response[bytes]:
    return await _stack_page(request, (host_id, project))


@post(f"{_STACK}/deploy", include_in_schema=False)
async def deploy_page(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str]
) -> Response[bytes]:
    said = await forms.fields(request)
    try:
        return await _deployed(request, (host_id, project), said)
    except (Invalid, Refused) as fault:
        return await _stack_page(request, (host_id, project), fault, said)


@post(f"{_STACK}/stop", include_in_schema=False)
async def stop_page(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str]
) -> Response[bytes]:
    return await _turned(request, StackAction.STOP, (host_id, project))


@post(f"{_STACK}/restart", include_in_schema=False)
async def restart_page(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str]
) -> Response[bytes]:
    return await _turned(request, StackAction.RESTART, (host_id, project))


@post(f"{_STACK}/forget", include_in_schema=False)
async def forget_page(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str]
) -> Response[bytes]:
    known_host(site_of(request), host_id)
    await forgotten(request, (host_id, project))
    return redirect(f"/hosts/{host_id}/stacks")


@get(f"{_STACK}/deploys/{{deploy_id:str}}", include_in_schema=False)
async def one_deploy_page(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str], deploy_id: FromPath[str]
) -> Response[bytes]:
    found = await find_deploy(site_of(request), (host_id, project), deploy_id)
    return page(request, "deploy.html", deploy=found.deploy, log=found.log or "\n".join(found.lines))


@post(f"{_STACK}/deploys/{{deploy_id:str}}/cancel", include_in_schema=False)
async def cancel_page(
    request: Request[Any, Any, Any], host_id: FromPath[str], project: FromPath[str], deploy_id: FromPath[str]
) -> Response[bytes]:
    site = site_of(request)
    await find_deploy(site, (host_id, project), deploy_id)
    about_stack(request, (host_id, project), deploy_id=deploy_id)
    await site.stacks.cancel(host_id, deploy_id, request.user.name)
    return redirect(f"/hosts/{host_id}/stacks/{project}/deploys/{deploy_id}")


async def _deployed(request: Request[Any, Any, Any], key: StackKey, said: dict[str, str]) -> Response[bytes]:
    number = forms.whole(said, "text_number") or None
    wait = number is not None or forms.ticked(said, "wait")
    body = NewDeploy(text_number=number, wait=wait, take_over=forms.ticked(said, "take_over"))
    if number is None:
        body = replace(body, text=said.get("text", ""), env=said.get("env", "") or None)
    answer = await asked(request, await wish_of(site_of(request), key, body), None)
    return redirect(f"/hosts/{key[0]}/stacks/{key[1]}/deploys/{answer.deploy_id}")


async def _turned(request: Request[Any, Any, Any], action: StackAction, key: StackKey) -> Response[bytes]:
    try:
        answer = await asked(request, turned(action, *key), None)
    except Refused as fault:
        return await _stack_page(request, key, fault)
    return redirect(f"/hosts/{key[0]}/stacks/{key[1]}/deploys/{answer.deploy_id}")


async def _stacks_page(
    request: Request[Any, Any, Any],
    host_id: str,
    fault: LastgoodError | None = None,
    said: dict[str, str] | None = None,
) -> Response[bytes]:
    site = site_of(request)
    known_host(site, host_id)
    kept = await site.read(partial(rows.list_projects, host_id=host_id))
    view = site.view()
    return page(
        request,
        "stacks.html",
        status=_status(fault),
        host=view.hosts[host_id],
        stacks=stack_readings(view, host_id, kept),
        error=fault,
        said=said or {"wait": "on"},
    )


async def _stack_page(
    request: Request[Any, Any, Any],
    key: StackKey,
    fault: LastgoodError | None = None,
    said: dict[str, str] | None = None,
) -> Response[bytes]:
    site = site_of(request)
    known_host(site, key[0])
    check_project(key[1])
    deploys = await deploys_of(site, key, limit=RECENT)
    numbers = await texts_of(site, key)
    view = site.view()
    kept = [key[1]] if deploys.items or numbers or said is not None or fault is not None else []
    stack = next((one for one in stack_readings(view, key[0], kept) if one.project == key[1]), None)
    if stack is None:
        raise Missing(f"There is no stack {key[1]!r} on {view.hosts[key[0]].name}; look at the list of its stacks.")
    written: Written | None = None
    if said is None and numbers and request.user.may(STACK_DEPLOY):
        try:
            found = await site.stacks.text(key)
            written = None if found is None else found[1]
        except ConfigError as error:
            fault = fault or error
    shown = {"wait": "on", "text": written.text if written else "", "env": (written.env or "") if written else ""}
    return page(
        request,
        "stack.html",
        status=_status(fault),
        host=view.hosts[key[0]],
        stack=stack,
        deploys=deploys.items,
        texts=numbers,
        error=fault,
        said=shown if said is None else said,
    )


def _status(fault: LastgoodError | None) -> int:
    return 200 if fault is None else 409 if isinstance(fault, Refused) else 422


ROUTES = (
    stacks_page,
    new_stack_page,
    stack_page,
    deploy_page,
    stop_page,
    restart_page,
    forget_page,
    one_deploy_page,
    cancel_page,
)
