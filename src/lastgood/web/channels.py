"""Channels and the outbox: where notices go, what became of them, and a test that shows its receipt.

The one rule: an address goes in and never comes out; a webhook's secret is shown once, in the answer that made it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET

from lastgood.errors import LastgoodError
from lastgood.model.alert import Severity
from lastgood.model.channel import Channel, ChannelKind
from lastgood.service.channels import NameTaken, NoChannel
from lastgood.web import lists
from lastgood.web.audited import about
from lastgood.web.bodies import LONGEST_NAME, LONGEST_SPAN
from lastgood.web.faults import Conflict, Invalid, Missing
from lastgood.web.outbox import (
    ChannelAnswer,
    ChannelChange,
    ChannelList,
    ChannelReading,
    NewChannel,
    NoticeList,
    NoticeReading,
    channel_reading,
    notice_reading,
)
from lastgood.web.render import page, redirect
from lastgood.web.session import site_of
from lastgood.web.site import Site

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
SPANS = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "3d": timedelta(days=3), "7d": timedelta(days=7)}
"""For how long a button pauses or snoozes."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


# --- pages --------------------------------------------------------------------------------------------------------


@get("/channels", include_in_schema=False)
async def channels_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return await _page(request)


@post("/channels", include_in_schema=False)
async def add_by_form(request: Request[Any, Any, Any]) -> Response[bytes]:
    site, said = site_of(request), await request.form()
    name, kind = str(said.get("name", "")).strip(), str(said.get("kind", ""))
    try:
        wanted = NewChannel(
            name=_name(name),
            kind=_one_of(ChannelKind, "kind", kind),
            url=str(said.get("url", "")),
            severity=_one_of(Severity, "severity", str(said.get("severity", ""))),
        )
        channel, secret = await _told(
            site.channels.add(wanted.name, wanted.kind, wanted.url, wanted.severity, request.user.name)
        )
    except LastgoodError as fault:
        return await _page(request, status=422, error=str(fault), name=name, kind=kind)
    about(request, "channel", channel.id, channel.name)
    return await _page(request, made=channel.name, secret=None if secret is None else secret.reveal())


@post("/channels/{channel_id:str}/test", include_in_schema=False)
async def test_by_form(request: Request[Any, Any, Any], channel_id: FromPath[str]) -> Response[bytes]:
    notice = await _told(site_of(request).channels.test(channel_id, request.user.name))
    return await _page(request, tested=notice)


@post("/channels/{channel_id:str}/set", include_in_schema=False)
async def set_by_form(request: Request[Any, Any, Any], channel_id: FromPath[str]) -> Response[bytes]:
    site, said = site_of(request), await request.form()
    wish = str(said.get("wish", ""))
    change = site.channels.change
    if wish in ("on", "off"):
        await _told(change(channel_id, enabled=wish == "on"))
    elif wish == "resume":
        await _told(change(channel_id, pause=(None,)))
    elif wish in SPANS:
        await _told(change(channel_id, pause=(site.now() + SPANS[wish],)))
    else:
        await _told(change(channel_id, severity=_one_of(Severity, "wish", wish)))
    return redirect("/channels")


@post("/channels/{channel_id:str}/remove", include_in_schema=False)
async def remove_by_form(request: Request[Any, Any, Any], channel_id: FromPath[str]) -> Response[bytes]:
    await _told(site_of(request).channels.remove(channel_id))
    return redirect("/channels")


async def _page(request: Request[Any, Any, Any], *, status: int = 200, **said: Any) -> Response[bytes]:
    site = site_of(request)
    held = await site.channels.every()
    names = {channel.id: channel.name for channel in held}
    undelivered, more = await site.channels.notices(undelivered_since=_LONG_AGO, limit=lists.ROWS)
    newest, _ = await site.channels.notices(limit=10)
    tested = said.pop("tested", None)
    context = {"error": None, "name": "", "kind": "webhook", "made": None, "secret": None, **said}
    return page(
        request,
        "channels.html",
        status=status,
        channels=[_reading(site, channel) for channel in held],
        undelivered=[notice_reading(notice, names) for notice in undelivered],
        more=more is not None,
        newest=[notice_reading(notice, names) for notice in newest],
        tested=None if tested is None else notice_reading(tested, names),
        **context,
    )


# --- API ----------------------------------------------------------------------------------------------------------


@get("/api/v1/channels", tags=["channels"], summary="All channels, by name")
async def list_channels(request: Request[Any, Any, Any]) -> ChannelList:
    site = site_of(request)
    items = [_reading(site, channel) for channel in await site.channels.every()]
    return ChannelList(items=items, total=len(items))


@post("/api/v1/channels", tags=["channels"], summary="Add a channel; it gets one digest of what is open")
async def add_channel(request: Request[Any, Any, Any], data: JSONBody[NewChannel]) -> ChannelAnswer:
    site = site_of(request)
    name = _name(data.name)
    adding = site.channels.add(name, data.kind, data.url, data.severity, request.user.name)
    channel, secret = await _told(adding)
    about(request, "channel", channel.id, channel.name)
    return ChannelAnswer(channel=_reading(site, channel), secret=None if secret is None else secret.reveal())


@patch("/api/v1/channels/{channel_id:str}", tags=["channels"], summary="Change, pause or switch off a channel")
async def change_channel(
    request: Request[Any, Any, Any], channel_id: FromPath[str], data: JSONBody[ChannelChange]
) -> ChannelAnswer:
    site = site_of(request)
    changing = site.channels.change(
        channel_id,
        name=None if data.name is UNSET else _name(data.name),
        severity=None if data.severity is UNSET else data.severity,
        enabled=None if data.enabled is UNSET else data.enabled,
        pause=None if data.paused_until is UNSET else (to_come(data.paused_until, site.now(), "paused_until"),),
        url=None if data.url is UNSET else data.url,
        new_secret=data.new_secret,
    )
    channel, secret = await _told(changing)
    return ChannelAnswer(channel=_reading(site, channel), secret=None if secret is None else secret.reveal())


@delete("/api/v1/channels/{channel_id:str}", tags=["channels"], summary="Remove a channel and what waits for it")
async def remove_channel(request: Request[Any, Any, Any], channel_id: FromPath[str]) -> None:
    await _told(site_of(request).channels.remove(channel_id))


@post(
    "/api/v1/channels/{channel_id:str}/test",
    tags=["channels"],
    summary="Send a test now and tell how it went",
    status_code=200,
)
async def test_channel(request: Request[Any, Any, Any], channel_id: FromPath[str]) -> NoticeReading:
    site = site_of(request)
    notice = await _told(site.channels.test(channel_id, request.user.name))
    return notice_reading(notice, {channel.id: channel.name for channel in await site.channels.every()})


@get("/api/v1/notices", tags=["channels"], summary="The outbox, newest first")
async def list_notices(
    request: Request[Any, Any, Any],
    status: Annotated[
        str, QueryParameter(description="all, or undelivered for those that failed and wait or were given up.")
    ] = "all",
    channel_id: FromQuery[str | None] = None,
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> NoticeList:
    if status not in ("all", "undelivered"):
        raise Invalid("status", "status is all or undelivered.")
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise Invalid("cursor", "The cursor is none that a list gave out; begin without it.")
    site = site_of(request)
    rows, following = await site.channels.notices(
        channel_id=channel_id,
        undelivered_since=_LONG_AGO if status == "undelivered" else None,
        before=None if cursor is None else int(cursor),
        limit=lists.check_limit(limit),
    )
    names = {channel.id: channel.name for channel in await site.channels.every()}
    items = [notice_reading(notice, names) for notice in rows]
    return NoticeList(items=items, next_cursor=None if following is None else str(following))


def _reading(site: Site, channel: Channel) -> ChannelReading:
    return channel_reading(channel, site.channels.counts(channel).undelivered)


async def _told(doing: Awaitable[T]) -> T:
    """The errors of channels in the words of requests."""
    try:
        return await doing
    except NameTaken as fault:
        raise Conflict("name", str(fault)) from fault
    except NoChannel as fault:
        raise Missing(str(fault)) from fault


def to_come(until: datetime | None, now: datetime, field: str) -> datetime | None:
    if until is None:
        return None
    if until.tzinfo is None:
        raise Invalid(field, f"{field} lacks its time zone; end it with Z or an offset.")
    if not now < until <= now + LONGEST_SPAN:
        raise Invalid(field, f"{field} must be a moment to come.")
    return until.astimezone(UTC)


def _one_of(kind: type[E], field: str, said: str) -> E:
    try:
        return kind(said)
    except ValueError:
        raise Invalid(field, f"{field} is one of {', '.join(map(str, kind))}.") from None


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > LONGEST_NAME:
        raise Invalid("name", f"A channel needs a name of at most {LONGEST_NAME} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise Invalid("name", "The name holds a line break or another control character; leave it out.")
    return name


ROUTES = (
    channels_page,
    add_by_form,
    test_by_form,
    set_by_form,
    remove_by_form,
    list_channels,
    add_channel,
    change_channel,
    remove_channel,
    test_channel,
    list_notices,
)
