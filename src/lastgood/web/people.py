"""Users as somebody with ``user.manage`` sees them, for people and programs; and the settings page.

Comes in: requests about users. Goes out: readings, and one-time links, each told once. The one rule: no
password passes through here; whoever is made here chooses one by their link.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import Connection

from lastgood.errors import AccessError
from lastgood.store import accounts
from lastgood.store.accounts import User
from lastgood.web import lists
from lastgood.web.audited import about
from lastgood.web.forms import fields
from lastgood.web.links import make_link
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.site import Site

LINK_FOR = timedelta(hours=24)
Word = Annotated[str, msgspec.Meta(max_length=300)]


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who is to sign in; they choose a password by the link of the answer."""

    name: Word
    role: Word


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Word


class UserReading(msgspec.Struct, frozen=True, kw_only=True):
    """``signs_in`` is false until they have chosen a password."""

    id: str
    name: str
    role: str
    created_at: datetime
    signs_in: bool


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """``next_cursor`` goes into ``cursor`` of the next request; None on the last page."""

    items: list[UserReading]
    total: int
    next_cursor: str | None


class UserMade(msgspec.Struct, frozen=True, kw_only=True):
    """``link`` works once, for 24 hours, and is told this once."""

    user: UserReading
    link: str


# --- pages --------------------------------------------------------------------------------------------------------


@get("/settings", include_in_schema=False)
async def settings_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return page(request, "settings.html", metrics_public=site_of(request).settings.metrics.public)


@get("/settings/users", include_in_schema=False)
async def users_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return await _users(request)


@post("/settings/users", include_in_schema=False)
async def create_by_form(request: Request[Any, Any, Any]) -> Response[bytes]:
    site, said, actor = site_of(request), await fields(request), request.user
    name = said.get("name", "")
    try:
        user = await site.people.create(name, said.get("role", ""), actor.name, actor.permissions)
        _noted(request, user)
    except AccessError as fault:
        return await _users(request, error=fault, name=name)
    return await _users(request, made=user, link=await _link(site, user))


@post("/settings/users/{user_id:str}/role", include_in_schema=False)
async def set_role_by_form(request: Request[Any, Any, Any], user_id: FromPath[str]) -> Response[bytes]:
    said, actor = await fields(request), request.user
    try:
        _noted(
            request,
            await site_of(request).people.set_role(user_id, said.get("role", ""), actor.name, actor.permissions),
        )
    except AccessError as fault:
        return await _users(request, error=fault)
    return redirect("/settings/users")


@post("/settings/users/{user_id:str}/link", include_in_schema=False)
async def link_by_form(request: Request[Any, Any, Any], user_id: FromPath[str]) -> Response[bytes]:
    site = site_of(request)
    user = _noted(request, await site.people.changeable(user_id, request.user.permissions))
    return await _users(request, made=user, link=await _link(site, user))


@post("/settings/users/{user_id:str}/remove", include_in_schema=False)
async def remove_by_form(request: Request[Any, Any, Any], user_id: FromPath[str]) -> Response[bytes]:
    try:
        await _remove(request, user_id)
    except AccessError as fault:
        return await _users(request, error=fault)
    return redirect("/settings/users")


async def _users(
    request: Request[Any, Any, Any], *, error: AccessError | None = None, name: str = "", **made: Any
) -> Response[bytes]:
    site = site_of(request)
    every = await site.people.every()
    number = lists.page_number(request)
    return page(
        request,
        "users.html",
        status=200 if error is None else error.status,
        sheet=lists.cut(every, number, "/settings/users", {}, lambda user: user.name.casefold()),
        roles=[role.name for role in site.roles.every()],
        error=None if error is None else str(error),
        name=name,
        made=made.get("made"),
        link=made.get("link"),
    )


# --- API ----------------------------------------------------------------------------------------------------------


@get("/api/v1/users", tags=["access"], summary="Users, oldest first")
async def list_users(
    request: Request[Any, Any, Any],
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> UserList:
    held = {user.id: user for user in await site_of(request).people.every()}
    items, total, following = lists.batch(tuple(held), cursor, limit, lambda one: _user(held[one]))
    return UserList(items=items, total=total, next_cursor=following)


@post("/api/v1/users", tags=["access"], summary="Make a user; the answer holds the link for their first sign-in")
async def create_user(request: Request[Any, Any, Any], data: JSONBody[NewUser]) -> UserMade:
    site, actor = site_of(request), request.user
    user = _noted(request, await site.people.create(data.name, data.role, actor.name, actor.permissions))
    return UserMade(user=_user(user), link=await _link(site, user))


@patch("/api/v1/users/{user_id:str}", tags=["access"], summary="Give a user another role; it holds at once")
async def change_user(
    request: Request[Any, Any, Any], user_id: FromPath[str], data: JSONBody[UserChange]
) -> UserReading:
    actor = request.user
    user = await site_of(request).people.set_role(user_id, data.role, actor.name, actor.permissions)
    return _user(_noted(request, user))


@post("/api/v1/users/{user_id:str}/link", tags=["access"], summary="A new one-time link for a user")
async def link_user(request: Request[Any, Any, Any], user_id: FromPath[str]) -> UserMade:
    site = site_of(request)
    user = _noted(request, await site.people.changeable(user_id, request.user.permissions))
    return UserMade(user=_user(user), link=await _link(site, user))


@delete("/api/v1/users/{user_id:str}", tags=["access"], summary="Remove a user and end their sessions")
async def remove_user(request: Request[Any, Any, Any], user_id: FromPath[str]) -> None:
    await _remove(request, user_id)


def _noted(request: Request[Any, Any, Any], user: User) -> User:
    """The audit log calls a user by their name as well, also after they are gone."""
    about(request, "user", user.id, user.name)
    return user


async def _remove(request: Request[Any, Any, Any], user_id: str) -> None:
    people = site_of(request).people
    _noted(request, await people.changeable(user_id, request.user.permissions))
    await people.remove(user_id, request.user.name, request.user.permissions)


async def _link(site: Site, user: User) -> str:
    base = str(site.settings.server.public_url)
    make = partial(make_link, key=site.secret_key, base=base, user_name=user.name, now=site.now(), lasts_for=LINK_FOR)

    def made(rows: Connection) -> str | None:
        found = accounts.get_user(rows, user.id)  # whoever asks may let them in with the role that was looked at
        return make(rows) if found is not None and found.role == user.role else None

    link = await site.write(made)
    if link is None:
        raise AccessError("The user was given another role or removed meanwhile; try again.", status=409)
    return link


def _user(user: User) -> UserReading:
    signs_in = user.password_hash is not None and not user.disabled
    return UserReading(id=user.id, name=user.name, role=user.role, created_at=user.created_at, signs_in=signs_in)


ROUTES = (
    settings_page,
    users_page,
    create_by_form,
    set_role_by_form,
    link_by_form,
    remove_by_form,
    list_users,
    create_user,
    change_user,
    link_user,
    remove_user,
)
