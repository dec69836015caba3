"""The guard before every route: who asks, and whether they may.

Comes in: a connection. Goes out: an ``Actor`` in its scope, or the error that sends the caller away. The one rule: a
route without a row in ``web/permits.py`` is closed to everybody. Bearer tokens follow RFC 6750. Whether a request was
caused by another site's page is asked by ``session.check_form``, once the guard has let it pass.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import structlog
from litestar import Request
from litestar.handlers.base import BaseRouteHandler

from lastgood.auth.gate import bearer
from lastgood.auth.roles import ADMIN, BUILT_IN
from lastgood.errors import AccessError
from lastgood.store import accounts
from lastgood.web.faults import TooMany
from lastgood.web.local import MARK
from lastgood.web.permits import SIGNED_IN, Permit, permit_of
from lastgood.web.session import (
    Connection,
    NotSignedIn,
    caller_address,
    find_session,
    site_of,
)
from lastgood.web.site import Actor

LOCAL_ACTOR = "local"
"""Whoever uses the commands on the hub's own machine, by its local socket."""

log = structlog.get_logger(__name__)


async def admit(connection: Connection, handler: BaseRouteHandler) -> None:
    """The guard of the whole application; leaves the ``Actor`` (None on public routes) in the scope."""
    scope: dict[str, Any] = connection.scope  # type: ignore[assignment]
    scope["user"] = scope["auth"] = None
    method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
    permit = permit_of(method, scope.get("path_template", ""))
    if permit is None or permit.is_public != bool(handler.opt.get("public")):
        if method != "OPTIONS":
            log.error("a route has no permit and is closed", method=method, route=scope.get("path_template"))
        raise AccessError("Nobody may use this address; no permission was set for it.")
    if permit.is_public:
        if method == "WEBSOCKET" and _is_foreign(connection):
            raise AccessError("This connection was opened by the page of another site.")
        return
    actor = scope["user"] = await _who(connection)
    check(actor, permit)
    if actor.hosts is not None:
        _check_path(connection, actor)


async def _who(connection: Connection) -> Actor:
    """Raises NotSignedIn for nobody we know."""
    if connection.scope.get(MARK):
        return Actor(name=LOCAL_ACTOR, kind="local", permissions=BUILT_IN[ADMIN])
    authorization = connection.headers.getall("authorization", [])
    if authorization:
        return _by_token(connection, bearer(authorization))
    session = await find_session(connection)
    if session is None:
        empty = await site_of(connection).read(accounts.count_users) == 0
        raise NotSignedIn("Sign in first, or send a bearer token.", empty=empty)
    return session


def _by_token(connection: Connection, presented: str | None) -> Actor:
    site, address = site_of(connection), caller_address(connection)
    guessing, now = connection.app.state.limits.tokens, site.now()
    found = site.tokens.find(presented) if presented is not None else None
    if found is None:
        if presented is not None and (wait := guessing.wrong(address, now)) is not None:
            raise TooMany(wait)
        raise NotSignedIn("The bearer token is not known here; ask for a new one.")
    if (wait := guessing.right(found.token.id, address, now)) is not None:
        raise TooMany(wait)
    if found.expired:
        raise NotSignedIn(f"The token {found.token.name} has expired; ask for a new one.")
    site.tokens.used(found.token.id, str(address or ""))
    return Actor(
        name=found.token.name,
        kind="token",
        id=found.token.id,
        permissions=found.permissions,
        hosts=None if found.token.hosts is None else frozenset(found.token.hosts),
    )


def check(actor: Actor, permit: Permit) -> None:
    """Raises AccessError if this actor may not use a route of this permit."""
    if permit.permissions != (SIGNED_IN,) and not actor.may(*permit.permissions):
        raise AccessError(_refusal(actor, permit.permissions[0]))
    if actor.hosts is not None and not permit.of_hosts:
        raise AccessError(f"{_named(actor)} is for single hosts, and this is about more than them.")


def require(request: Request[Any, Any, Any], permission: str) -> None:
    """For what a route only knows once it has read the request. Raises AccessError."""
    actor: Actor = request.user
    if not actor.may(permission):
        raise AccessError(_refusal(actor, permission))


def _refusal(actor: Actor, permission: str) -> str:
    return (
        f"{_named(actor)} may not do this: it takes the permission {permission}; ask an admin for a role that has it."
    )


def _named(actor: Actor) -> str:
    return f"The token {actor.name}" if actor.kind == "token" else f"The user {actor.name}"


def _check_path(connection: Connection, actor: Actor) -> None:
    """Hosts and sources beyond those of the token are not there, for whichever route names them."""
    named, view = connection.path_params, site_of(connection).view()
    for key, known, what in (("host_id", view.hosts, "host"), ("source_id", view.sources, "source")):
        if key in named and named[key] not in known:
            raise AccessError(f"No {what} has this id; it may have been removed.", status=404)


def _is_foreign(connection: Connection) -> bool:
    """Whether a page of another site opened this socket; agents send no origin."""
    origin = connection.headers.get("origin")
    base = site_of(connection).settings.server.base_url
    own = {connection.headers.get("host", "").lower()} | ({urlsplit(base).netloc.lower()} if base else set())
    return origin is not None and urlsplit(origin).netloc.lower() not in own
