"""API tokens: list, make, rotate and revoke them, for people and programs.

Comes in: what somebody with ``user.manage`` decides. Goes out: readings, and a token's text in the one answer that
made it. The one rule: the text stands in that answer and nowhere else; no list, log or page knows it again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, UnsetType

from lastgood.auth.roles import SCRAPER
from lastgood.auth.tokens import PREFIX
from lastgood.errors import AccessError, LastgoodError
from lastgood.fleet.fleet import FleetView
from lastgood.service.tokens import OVERLAP, Made, check_expiry
from lastgood.store.tokens import ApiToken
from lastgood.web import lists
from lastgood.web.audited import about
from lastgood.web.faults import Invalid
from lastgood.web.forms import fields, lines
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.site import Actor, Site

Word = Annotated[str, msgspec.Meta(max_length=300)]
LIVES = {"never": None, "30d": timedelta(days=30), "90d": timedelta(days=90), "365d": timedelta(days=365)}
OVERLAPS = {"none": timedelta(), "1h": timedelta(hours=1), "24h": OVERLAP, "7d": timedelta(days=7)}


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to be made. ``hosts`` are ids: it sees and does only those; without them it is for the whole fleet."""

    name: Word
    role: Word
    hosts: list[Word] | None = None
    expires_at: datetime | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long the text it had is still taken; ``expires_at`` moves the token's end, null takes it away."""

    overlap_seconds: Annotated[float, msgspec.Meta(ge=0, le=1e8)] = OVERLAP.total_seconds()
    expires_at: datetime | UnsetType | None = UNSET


class TokenHost(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is None for a host that was removed."""

    id: str
    name: str | None


class TokenReading(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its text, which begins with ``begins``. ``status`` is live, expired or revoked; ``hosts`` None
    means the whole fleet; the text before the last rotation is taken until ``previous_until``."""

    id: str
    name: str
    begins: str
    role: str
    permissions: list[str]
    hosts: list[TokenHost] | None
    status: str
    created_at: datetime
    created_by: str
    rotated_at: datetime | None
    previous_until: datetime | None
    expires_at: datetime | None
    used_at: datetime | None
    used_from: str | None
    revoked_at: datetime | None
    revoked_by: str | None


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first, those revoked in the last 90 days included; ``next_cursor`` is None on the last page."""

    items: list[TokenReading]
    total: int
    next_cursor: str | None


class TokenMade(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is what goes behind ``Authorization: Bearer``; it is told this once."""

    token: TokenReading
    text: str


# --- pages --------------------------------------------------------------------------------------------------------


@get("/settings/tokens", include_in_schema=False)
async def tokens_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return _page(request)


@get("/settings/tokens/new", include_in_schema=False)
async def new_token_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return _form(request, {"role": SCRAPER})


@post("/settings/tokens", include_in_schema=False)
async def create_by_form(request: Request[Any, Any, Any]) -> Response[bytes]:
    site, said = site_of(request), await fields(request)
    life = said.get("life", "never")
    try:
        if life not in LIVES:
            raise Invalid("life", f"A token lives for one of {', '.join(LIVES)}.")
        hosts = _named_hosts(site.view(), lines(said, "hosts"))
        ends = None if LIVES[life] is None else site.now() + (LIVES[life] or timedelta())
        made = await _create(request, said.get("name", ""), said.get("role", ""), hosts, ends)
    except (AccessError, Invalid) as fault:
        return _form(request, said, fault)
    return _page(request, made)


@post("/settings/tokens/{token_id:str}/rotate", include_in_schema=False)
async def rotate_by_form(request: Request[Any, Any, Any], token_id: FromPath[str]) -> Response[bytes]:
    site, overlap, actor = site_of(request), (await fields(request)).get("overlap", ""), request.user
    if overlap not in OVERLAPS:
        raise Invalid("overlap", f"The old text lives for one of {', '.join(OVERLAPS)}.")
    made = await site.tokens.rotate(token_id, actor.name, actor.permissions, overlap=OVERLAPS[overlap], expires=None)
    return _page(request, _noted(request, made))


@post("/settings/tokens/{token_id:str}/revoke", include_in_schema=False)
async def revoke_by_form(request: Request[Any, Any, Any], token_id: FromPath[str]) -> Response[bytes]:
    await _revoke(request, token_id)
    return redirect("/settings/tokens")


def _page(request: Request[Any, Any, Any], made: Made | None = None) -> Response[bytes]:
    site = site_of(request)
    every = sorted(site.tokens.every(), key=lambda token: (token.revoked_at is not None, token.name.casefold()))
    sheet = lists.cut(every, lists.page_number(request), "/settings/tokens", {}, lambda token: _place(token))
    return page(
        request,
        "tokens.html",
        sheet=sheet,
        rows=[token_reading(site, token) for token in sheet.rows],
        made=None if made is None else made.token,
        text=None if made is None else made.text.reveal(),
        can_scrape=made is not None and "metrics.read" in site.roles.permissions(made.token.role),
        base_url=str(site.settings.server.public_url),
        overlaps=tuple(OVERLAPS),
    )


def _place(token: ApiToken) -> tuple[bool, str, str]:
    return token.revoked_at is not None, token.name.casefold(), token.id


def _form(
    request: Request[Any, Any, Any], said: dict[str, str], fault: LastgoodError | None = None
) -> Response[bytes]:
    return page(
        request,
        "token_form.html",
        status=200 if fault is None else 422,
        error=None if fault is None else str(fault),
        said=said,
        roles=site_of(request).roles.every(),
        lives=tuple(LIVES),
    )


def _named_hosts(view: FleetView, names: list[str]) -> list[str] | None:
    """The ids of hosts that somebody named; None for nobody, which means all."""
    if not names:
        return None
    by_name = {host.name.casefold(): host.id for host in view.hosts.values()}
    for name in names:
        if name.casefold() not in by_name and name not in view.hosts:
            raise Invalid("hosts", f"There is no host {name[:100]!r}; write one name a line.")
    return [by_name.get(name.casefold(), name) for name in names]


# --- API ----------------------------------------------------------------------------------------------------------


@get("/api/v1/tokens", tags=["access"], summary="API tokens, oldest first")
async def list_tokens(
    request: Request[Any, Any, Any],
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> TokenList:
    site = site_of(request)
    held = {token.id: token for token in site.tokens.every()}
    items, total, following = lists.batch(tuple(held), cursor, limit, lambda one: token_reading(site, held[one]))
    return TokenList(items=items, total=total, next_cursor=following)


@post("/api/v1/tokens", tags=["access"], summary="Make an API token; its text is in this answer only")
async def create_token(request: Request[Any, Any, Any], data: JSONBody[NewToken]) -> TokenMade:
    site = site_of(request)
    view = site.view()
    for host_id in data.hosts or ():
        if host_id not in view.hosts:
            raise Invalid("hosts", "No host has this id; GET /api/v1/hosts lists them.")
    ends = _aware(data.expires_at, site.now())
    return _told(site, await _create(request, data.name, data.role, data.hosts, ends))


@post(
    "/api/v1/tokens/{token_id:str}/rotate",
    tags=["access"],
    summary="Give a token another text; the old one is taken for a while",
    status_code=200,
)
async def rotate_token(
    request: Request[Any, Any, Any], token_id: FromPath[str], data: JSONBody[Rotation]
) -> TokenMade:
    site, actor = site_of(request), request.user
    expires = None if data.expires_at is UNSET else (_aware(data.expires_at, site.now()),)
    overlap = timedelta(seconds=data.overlap_seconds)
    made = await site.tokens.rotate(token_id, actor.name, actor.permissions, overlap=overlap, expires=expires)
    return _told(site, _noted(request, made))


@delete("/api/v1/tokens/{token_id:str}", tags=["access"], summary="Revoke a token; it ends at once and for good")
async def revoke_token(request: Request[Any, Any, Any], token_id: FromPath[str]) -> None:
    await _revoke(request, token_id)


async def _create(
    request: Request[Any, Any, Any], name: str, role: str, hosts: list[str] | None, ends: datetime | None
) -> Made:
    actor: Actor = request.user
    made = await site_of(request).tokens.create(
        name, role, actor.name, actor.permissions, hosts=hosts, expires_at=ends
    )
    return _noted(request, made)


def _noted(request: Request[Any, Any, Any], made: Made) -> Made:
    """The audit log calls a token by its name as well."""
    about(request, "token", made.token.id, made.token.name)
    return made


async def _revoke(request: Request[Any, Any, Any], token_id: str) -> None:
    tokens = site_of(request).tokens
    about(request, "token", token_id, tokens.get(token_id).name)
    await tokens.revoke(token_id, request.user.name)


def _aware(at: datetime | None, now: datetime) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise Invalid("expires_at", "expires_at lacks its time zone; end it with Z or an offset.")
    check_expiry(at, now)  # before it is converted: the end of the year 9999 has no other zone
    return None if at is None else at.astimezone(UTC)


def _told(site: Site, made: Made) -> TokenMade:
    return TokenMade(token=token_reading(site, made.token), text=made.text.reveal())


def token_reading(site: Site, token: ApiToken) -> TokenReading:
    now, hosts = site.now(), site.view().hosts
    old = token.previous_until
    return TokenReading(
        id=token.id,
        name=token.name,
        begins=PREFIX + token.lookup,
        role=token.role,
        permissions=sorted(site.roles.permissions(token.role)),
        hosts=None
        if token.hosts is None
        else [TokenHost(id=one, name=hosts[one].name if one in hosts else None) for one in token.hosts],
        status="revoked" if token.revoked_at else "expired" if token.is_expired(now) else "live",
        created_at=token.created_at,
        created_by=token.created_by,
        rotated_at=token.rotated_at,
        previous_until=old if old is not None and old > now else None,
        expires_at=token.expires_at,
        used_at=token.used_at,
        used_from=token.used_from,
        revoked_at=token.revoked_at,
        revoked_by=token.revoked_by,
    )


ROUTES = (
    tokens_page,
    new_token_page,
    create_by_form,
    rotate_by_form,
    revoke_by_form,
    list_tokens,
    create_token,
    rotate_token,
    revoke_token,
)
