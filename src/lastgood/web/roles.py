"""Roles as somebody with ``user.manage`` sees them, for people and programs.

Comes in: names of roles and permissions. Goes out: readings. The one rule: what a permission allows is told from the
table in ``auth/roles.py`` and written nowhere else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from lastgood.auth.roles import PERMISSIONS
from lastgood.errors import AccessError
from lastgood.service.roles import Role
from lastgood.web.forms import fields
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of

Word = Annotated[str, msgspec.Meta(max_length=300)]


class RoleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    permissions: list[Word]


class RoleReading(msgspec.Struct, frozen=True, kw_only=True):
    """Built-in roles stay as they are."""

    name: str
    permissions: list[str]
    built_in: bool
    changed_at: datetime | None
    changed_by: str | None


class RoleList(msgspec.Struct, frozen=True, kw_only=True):
    """All roles, the built-in ones first; ``permissions`` are all there are, with what each of them allows."""

    items: list[RoleReading]
    total: int
    permissions: dict[str, str]


# --- pages --------------------------------------------------------------------------------------------------------


@get("/settings/roles", include_in_schema=False)
async def roles_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return _roles(request)


@post("/settings/roles", include_in_schema=False)
async def put_by_form(request: Request[Any, Any, Any]) -> Response[bytes]:
    said, actor = await fields(request), request.user
    name, chosen = said.get("name", "").strip(), [one for one in PERMISSIONS if one in said]
    try:
        await site_of(request).roles.put(name, chosen, actor.name, actor.permissions)
    except AccessError as fault:
        return _roles(request, error=fault, name=name, chosen=chosen)
    return redirect("/settings/roles")


@post("/settings/roles/{role_name:str}/remove", include_in_schema=False)
async def remove_role_by_form(request: Request[Any, Any, Any], role_name: FromPath[str]) -> Response[bytes]:
    try:
        await site_of(request).roles.remove(role_name, request.user.name)
    except AccessError as fault:
        return _roles(request, error=fault)
    return redirect("/settings/roles")


def _roles(
    request: Request[Any, Any, Any],
    *,
    error: AccessError | None = None,
    name: str = "",
    chosen: list[str] | None = None,
) -> Response[bytes]:
    return page(
        request,
        "roles.html",
        status=200 if error is None else error.status,
        roles=site_of(request).roles.every(),
        permissions=PERMISSIONS,
        error=None if error is None else str(error),
        name=name,
        chosen=chosen or [],
    )


# --- API ----------------------------------------------------------------------------------------------------------


@get("/api/v1/roles", tags=["access"], summary="Roles and permissions")
async def list_roles(request: Request[Any, Any, Any]) -> RoleList:
    items = [_role(role) for role in site_of(request).roles.every()]
    return RoleList(items=items, total=len(items), permissions=dict(PERMISSIONS))


@put("/api/v1/roles/{role_name:str}", tags=["access"], summary="Make a custom role, or give it other permissions")
async def put_role(
    request: Request[Any, Any, Any], role_name: FromPath[str], data: JSONBody[RoleBody]
) -> RoleReading:
    actor = request.user
    return _role(await site_of(request).roles.put(role_name, data.permissions, actor.name, actor.permissions))


@delete("/api/v1/roles/{role_name:str}", tags=["access"], summary="Remove a custom role that nobody has")
async def remove_role(request: Request[Any, Any, Any], role_name: FromPath[str]) -> None:
    await site_of(request).roles.remove(role_name, request.user.name)


def _role(role: Role) -> RoleReading:
    return RoleReading(
        name=role.name,
        permissions=sorted(role.permissions),
        built_in=role.built_in,
        changed_at=role.changed_at,
        changed_by=role.changed_by,
    )


ROUTES = (
    roles_page,
    put_by_form,
    remove_role_by_form,
    list_roles,
    put_role,
    remove_role,
)
