"""Browsers that signed in: sessions, cookies and form tokens. ``web/guard.py`` stands before the routes.

Comes in: a connection. Goes out: the ``Actor`` of its session, or None. The one rule: a cookie alone changes nothing;
a request that does carries our origin and our form token as well. Cookies follow RFC 6265bis (``__Host-`` prefix); a
form token is masked anew for each page.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from sqlalchemy import Connection as Rows

from lastgood.auth.gate import same_text
from lastgood.auth.networks import Address, client_address, external_scheme
from lastgood.auth.secrets import keyed_digest
from lastgood.errors import AccessError, StoreError
from lastgood.store import accounts
from lastgood.web.narrow import narrowed
from lastgood.web.site import Actor, Site
from lastgood.web.words import printable

Connection = ASGIConnection[Any, Any, Any, Any]

SESSION_FOR = timedelta(hours=24)
EXTEND_AFTER = timedelta(minutes=10)
"""A session is written anew at most this often."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 1_000
LARGEST_OF_STRANGERS = 64 * 1024
_MASK_BYTES = 32
_LONGEST_AGENT = 200


class NotSignedIn(AccessError):
    """Nobody we know; ``empty`` means that there is nobody to be known yet."""

    def __init__(self, message: str, *, empty: bool = False) -> None:
        super().__init__(message, status=401)
        self.empty = empty


def site_of(connection: Connection) -> Site:
    """The site, as far as whoever asks may see it."""
    site: Site = connection.app.state.site
    actor: Actor | None = connection.scope.get("user")
    return site if actor is None or actor.hosts is None else narrowed(site, actor.hosts)


async def check_form(request: Request[Any, Any, Any]) -> None:
    """Refuse an unsafe request that another site may have caused. ``opt={"signed": True}`` is for routes whose
    requests carry their own signature and which look at no cookie."""
    actor: Actor | None = request.scope.get("user")
    if request.route_handler.opt.get("signed"):
        return
    if request.method in SAFE_METHODS or (actor is not None and actor.session is None):
        return
    if not _same_origin(request):
        raise AccessError(
            "The request came from another address than this hub's own; open lastgood there, or set "
            "server.base_url to the address that people use."
        )
    token = request.headers.get("x-csrf-token")
    if token is None and request.content_type[0] == FORM:
        token = (await request.form()).get("csrf")
    if not isinstance(token, str) or not form_token_fits(site_of(request).secret_key, form_holder(request), token):
        raise AccessError("The form is too old, or not from here; reload the page and try again.")


async def check_size(request: Request[Any, Any, Any]) -> None:
    """Refuse a form that would hold everybody else up while it is taken apart; strangers send short ones."""
    if request.method in SAFE_METHODS or request.content_type[0] != FORM:
        return
    body = await request.body()
    is_long = request.scope.get("user") is None and len(body) > LARGEST_OF_STRANGERS
    if is_long or body.count(b"&") >= MOST_FIELDS:
        raise AccessError("The form is larger than any of this hub's; send less at once.", status=413)


# Sessions


async def find_session(connection: Connection) -> Actor | None:
    """Whose browser this is; a live session is made to last 24 hours more."""
    site = site_of(connection)
    cookie = connection.cookies.get(cookie_name(connection, "lastgood"))
    if not cookie:
        return None
    now = site.now()
    digest = session_digest(site, cookie)
    found = await site.read(partial(accounts.find_session, digest=digest, now=now))
    if found is None:
        return None
    session, user = found
    if session.expires_at < now + SESSION_FOR - EXTEND_AFTER:
        touch = partial(accounts.touch_session, digest=digest, seen_at=now, expires_at=now + SESSION_FOR)
        with suppress(StoreError):  # pages are read on a full disk as well; the next request tries again
            await site.write(touch)
    return Actor(name=user.name, session=digest, id=user.id, permissions=site.roles.permissions(user.role))


async def begin_session(connection: Connection, user_id: str) -> Cookie:
    """Sign this browser in; a session it had before is over, so that nobody can have planted one."""
    site = site_of(connection)
    before = connection.cookies.get(cookie_name(connection, "lastgood"))
    now, secret = site.now(), secrets.token_urlsafe(32)
    session = accounts.Session(
        digest=session_digest(site, secret),
        user_id=user_id,
        created_at=now,
        seen_at=now,
        expires_at=now + SESSION_FOR,
        address=str(caller_address(connection) or ""),
        agent=printable(connection.headers.get("user-agent", ""))[:_LONGEST_AGENT],
    )

    def swap(rows: Rows) -> None:
        if before:
            accounts.end_session(rows, session_digest(site, before))
        accounts.add_session(rows, session)

    await site.write(swap)
    return make_cookie(connection, "lastgood", secret)


def session_digest(site: Site, cookie: str) -> str:
    return keyed_digest(site.secret_key, "session", cookie).hex()


def link_digest(secret_key: bytes, token: str) -> str:
    """What is stored for a one-time link; whoever makes a link uses this too."""
    return keyed_digest(secret_key, "sign-in link", token).hex()


# Cookies and where the request came from


def is_secure(connection: Connection) -> bool:
    """Whether the browser reached us by https, as far as we can know."""
    server = site_of(connection).settings.server
    if server.cookie_secure is not None:
        return server.cookie_secure
    forwarded = connection.headers.getall("x-forwarded-proto", [])
    own = connection.scope["scheme"]
    if external_scheme(_peer(connection), forwarded, server.trusted_proxies, own) == "https":
        return True
    base = server.base_url
    return (
        base is not None
        and base.scheme == "https"
        and urlsplit(base).netloc == connection.headers.get("host", "").lower()
    )


def cookie_name(connection: Connection, name: str) -> str:
    return f"__Host-{name}" if is_secure(connection) else name


def make_cookie(connection: Connection, name: str, value: str) -> Cookie:
    """A cookie that ends with the browser; how long a session lasts is decided here, not there."""
    return Cookie(
        key=cookie_name(connection, name),
        value=value,
        path="/",
        secure=is_secure(connection),
        httponly=True,
        samesite="lax",
    )


def drop_cookie(connection: Connection, name: str) -> Cookie:
    cookie = make_cookie(connection, name, "")
    cookie.max_age = 0
    return cookie


def caller_address(connection: Connection) -> Address | None:
    trusted = site_of(connection).settings.server.trusted_proxies
    return client_address(_peer(connection), connection.headers.getall("x-forwarded-for", []), trusted)


def _peer(connection: Connection) -> str | None:
    return connection.client.host if connection.client else None


def _same_origin(connection: Connection) -> bool:
    """By Origin, else by Sec-Fetch-Site; a caller that sends neither is no browser of our day."""
    origin = connection.headers.get("origin")
    if origin is None:
        return connection.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    scheme = "https" if is_secure(connection) else "http"
    own = {f"{scheme}://{connection.headers.get('host', '').lower()}"}
    base = site_of(connection).settings.server.base_url
    return origin in (own if base is None else own | {str(base).lower()})


# Form tokens


def form_holder(connection: Connection) -> str:
    """Whom a form belongs to: the session, or before sign-in this browser."""
    actor: Actor | None = connection.scope.get("user")
    if actor is not None and actor.session is not None:
        return "session " + actor.session
    return "browser " + connection.cookies.get(cookie_name(connection, "lastgood_form"), "")


def make_form_token(key: bytes, holder: str) -> str:
    """Masked, so that a compressed page does not tell it by its length."""
    mask = os.urandom(_MASK_BYTES)
    return (mask + _xor(mask, _proof(key, holder))).hex()


def form_token_fits(key: bytes, holder: str, token: str) -> bool:
    try:
        raw = bytes.fromhex(token)
    except ValueError:
        return False
    if len(raw) != 2 * _MASK_BYTES or holder == "browser ":
        return False
    return hmac.compare_digest(_xor(raw[:_MASK_BYTES], raw[_MASK_BYTES:]), _proof(key, holder))


def _proof(key: bytes, holder: str) -> bytes:
    return hmac.new(key, b"form " + holder.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def _xor(first: bytes, second: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def safe_next(text: str | None) -> str:
    """A path of ours to go on to; ``/`` for anything that could lead elsewhere."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")) or len(text) > 2048:
        return "/"
    if any(character < "!" or character in "\\\x7f" or character > "~" for character in text):
        return "/"
    parts = urlsplit(text)
    own = not parts.scheme and not parts.netloc
    return text if own and not same_text(parts.path, "/sign-out") else "/"
