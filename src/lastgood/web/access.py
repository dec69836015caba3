"""Signing in and out, and the one-time link by which the first admin and a lost password begin.

Comes in: names and passwords. Goes out: a session's cookie. The one rule: an answer never tells which part was
wrong, and passwords are hashed off the event loop, few at a time, since each takes 64 MiB.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath
from sqlalchemy import Connection

from lastgood.auth.passwords import hash_password, needs_rehash, verify_password
from lastgood.auth.roles import ADMIN
from lastgood.errors import AccessError
from lastgood.ids import ulid
from lastgood.model.audit import ActorKind, Who
from lastgood.store import accounts
from lastgood.store.accounts import SignInLink, User
from lastgood.web.audited import about
from lastgood.web.door import guesses
from lastgood.web.faults import TooMany
from lastgood.web.limits import Attempts, Guesses, address_key
from lastgood.web.render import page, redirect
from lastgood.web.session import (
    begin_session,
    caller_address,
    cookie_name,
    drop_cookie,
    find_session,
    form_holder,
    link_digest,
    make_cookie,
    make_form_token,
    safe_next,
    site_of,
)
from lastgood.web.site import Actor

WRONG = "Name or password is wrong."
USED_UP = "This link was used, or its time is over; make a new one with: lastgood user reset"
LONGEST_USER_NAME = 64


@dataclass(slots=True)
class SignInLimits:
    """One a running application; a name's limit is wider than all that one address may try in its time, so that a
    stranger alone cannot lock its owner out. The next three are for machines on their way in (``web/machines.py``):
    codes, new announcements, and questions about them, of which a hundred machines behind one address ask many;
    ``tokens`` counts wrong bearer tokens."""

    by_address: Attempts = field(default_factory=lambda: Attempts(20, timedelta(minutes=5)))
    by_name: Attempts = field(default_factory=lambda: Attempts(100, timedelta(minutes=15)))
    enrolling: Attempts = field(default_factory=lambda: Attempts(60, timedelta(minutes=5)))
    announcing: Attempts = field(default_factory=lambda: Attempts(30, timedelta(minutes=5)))
    asking: Attempts = field(default_factory=lambda: Attempts(1500, timedelta(minutes=1)))
    tokens: Guesses = field(default_factory=guesses)
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, and what they may do. ``kind`` is person, token or local; ``hosts`` None means the whole fleet.
    ``csrf_token`` goes into the header X-CSRF-Token of requests that carry the cookie."""

    name: str
    csrf_token: str
    kind: str
    permissions: list[str]
    hosts: list[str] | None


@get("/sign-in", opt={"public": True}, include_in_schema=False)
async def sign_in_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    there = safe_next(request.query_params.get("next"))
    if await find_session(request) is not None:
        return redirect(there)
    if await site_of(request).read(accounts.count_users) == 0:
        return redirect("/")
    return _form(request, "sign_in.html", next=there, name="", error=None)


@post("/sign-in", opt={"public": True}, include_in_schema=False)
async def sign_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    said = await _fields(request)
    name, there = said.get("name", "").strip(), safe_next(said.get("next"))
    user = await _prove(request, name, said.get("password", ""))
    if user is None:
        return _form(request, "sign_in.html", status=401, next=there, name=name, error=WRONG)
    about(request, "user", user.id, user.name, who=_person(user.id, user.name))
    return redirect(there, cookies=(await begin_session(request, user.id),))


@post("/sign-out", include_in_schema=False)
async def sign_out(request: Request[Any, Any, Any]) -> Response[bytes]:
    actor: Actor = request.user
    if actor.session is not None:
        await site_of(request).write(partial(accounts.end_session, digest=actor.session))
    return redirect("/sign-in", cookies=(drop_cookie(request, "lastgood"),))


@get("/welcome/{token:str}", opt={"public": True}, include_in_schema=False)
async def welcome_page(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
    """Shows the form and uses nothing up, so that a mail scanner's visit does no harm."""
    link = await _link(request, token)
    return _form(request, "welcome.html", token=token, user_name=link.user_name, name="", error=None)


@post("/welcome/{token:str}", opt={"public": True}, include_in_schema=False)
async def welcome(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
    site, said = site_of(request), await _fields(request)
    link = await _link(request, token)
    name, password = said.get("name", "").strip(), said.get("password", "")

    def again(error: str) -> Response[bytes]:
        known = {"token": token, "user_name": link.user_name, "name": name, "error": error}
        return _form(request, "welcome.html", status=422, **known)

    if link.user_name is None and (fault := _name_fault(name)):
        return again(fault)
    if password != said.get("again", ""):
        return again("The two passwords differ; type them anew.")
    try:
        async with _limits(request).hashing:
            hashed = await asyncio.to_thread(hash_password, password)
    except AccessError as fault_:
        return again(str(fault_))
    redeem = partial(_redeem, link=link, name=name, password_hash=hashed, now=site.now())
    user_id = await site.write(redeem)
    if user_id is None:
        raise AccessError(USED_UP, status=404)
    about(request, "user", user_id, link.user_name or name, who=_person(user_id, link.user_name or name))
    return redirect("/", cookies=(await begin_session(request, user_id),))


def _redeem(rows: Connection, link: SignInLink, name: str, password_hash: str, now: datetime) -> str | None:
    """The user's id; None if the link is used up. Runs in one transaction, so of two callers one gets None."""
    if link.user_name is None and accounts.count_users(rows) > 0:
        return None  # such a link is for the first admin alone
    if accounts.use_link(rows, link.digest, now) is None:
        return None
    if link.user_name is not None:
        user = accounts.find_user(rows, link.user_name)
        if user is not None:  # else they were removed since
            accounts.set_password(rows, user.id, password_hash)
        return None if user is None else user.id
    made = User(id=ulid(now), name=name, role=ADMIN, created_at=now, password_hash=password_hash)
    accounts.add_user(rows, made)
    return made.id


@get("/api/v1/me", tags=["fleet"], summary="Who is asking, and the token for unsafe requests with a cookie")
async def me(request: Request[Any, Any, Any]) -> Me:
    token = make_form_token(site_of(request).secret_key, form_holder(request))
    actor: Actor = request.user
    return Me(
        name=actor.name,
        csrf_token=token,
        kind=actor.kind,
        permissions=sorted(actor.permissions),
        hosts=None if actor.hosts is None else sorted(actor.hosts),
    )


async def _prove(request: Request[Any, Any, Any], name: str, password: str) -> User | None:
    """The user to whom name and password belong; takes equally long for a name that nobody has."""
    site, limits = site_of(request), _limits(request)
    keys = ((limits.by_address, address_key(caller_address(request))), (limits.by_name, name.casefold()[:256]))
    for attempts, key in keys:
        if (wait := attempts.wait(key, site.now())) is not None:
            raise TooMany(wait)
    user = await site.read(partial(accounts.find_user, name=name))
    if user is not None:  # a name that nobody has may be a password, typed too early
        about(request, "user", user.id, user.name)
    stored = None if user is None or user.disabled else user.password_hash
    async with limits.hashing:
        fits = await asyncio.to_thread(verify_password, stored, password)
        if user is None or stored is None or not fits:
            return None
        if needs_rehash(stored):
            hashed = await asyncio.to_thread(hash_password, password)
            await site.write(partial(accounts.set_password, user_id=user.id, password_hash=hashed))
    limits.by_name.forgive(keys[1][1])  # not the address: whoever knows one password must not try others without end
    return user


async def _link(request: Request[Any, Any, Any], token: str) -> SignInLink:
    site = site_of(request)
    digest = link_digest(site.secret_key, token)
    link = await site.read(partial(accounts.find_link, digest=digest, now=site.now()))
    if link is None:
        raise AccessError(USED_UP, status=404)
    return link


def _person(user_id: str, name: str) -> Who:
    return Who(kind=ActorKind.PERSON, id=user_id, name=name)


def _name_fault(name: str) -> str | None:
    if not name:
        return "Choose a name to sign in with."
    if len(name) > LONGEST_USER_NAME:
        return f"The name is too long; {LONGEST_USER_NAME} characters are enough."
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in name):
        return "The name holds characters that nobody can see; type it anew."
    return None


async def _fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    form = await request.form()
    return {key: value for key, value in form.items() if isinstance(value, str)}


def _limits(request: Request[Any, Any, Any]) -> SignInLimits:
    limits: SignInLimits = request.app.state.limits
    return limits


def _form(request: Request[Any, Any, Any], template: str, *, status: int = 200, **context: Any) -> Response[bytes]:
    """A page with a form for somebody not signed in; the form belongs to this browser by a cookie of its own."""
    known = request.cookies.get(cookie_name(request, "lastgood_form"), "")
    nonce = known if len(known) == 24 else secrets.token_urlsafe(18)
    token = make_form_token(site_of(request).secret_key, "browser " + nonce)
    cookies = () if nonce == known else (make_cookie(request, "lastgood_form", nonce),)
    return page(request, template, status=status, cookies=cookies, form_token=token, **context)


ROUTES = (sign_in_page, sign_in, sign_out, welcome_page, welcome, me)
