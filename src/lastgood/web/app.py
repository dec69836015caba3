"""The web application: every route, the guard before them, and what each response carries.

Comes in: ``Site`` and other ASGI applications to mount (scrape, health). Goes out: one ASGI application. The one
rule: a route is registered here through the ``ROUTES`` of its file, so that the guard, the form check and the
headers hold for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from lastgood.web import (
    access,
    alerts,
    arrivals,
    assets,
    audit,
    channels,
    collectors,
    docker,
    enrolment,
    found,
    held,
    hosts,
    machines,
    overview,
    people,
    recovery,
    reference,
    repositories,
    repository_forms,
    roles,
    runs,
    snooze,
    socket,
    source_forms,
    sources,
    stack_pages,
    stacks,
    tokens,
)
from lastgood.web.faults import HANDLERS
from lastgood.web.guard import admit
from lastgood.web.reference import describe
from lastgood.web.render import Json
from lastgood.web.requests import UNMATCHED, Requests
from lastgood.web.session import is_secure
from lastgood.web.site import Site
from lastgood.web.witness import Refusals, before, witness

__all__ = ["Site", "create_app"]

LARGEST_BODY = 1024 * 1024

ROUTES = (
    *overview.ROUTES,
    *sources.ROUTES,
    *found.ROUTES,
    *hosts.ROUTES,
    *arrivals.ROUTES,
    *enrolment.ROUTES,
    *machines.ROUTES,
    *docker.ROUTES,
    *repositories.ROUTES,
    *collectors.ROUTES,
    *repository_forms.ROUTES,
    *source_forms.ROUTES,
    *held.ROUTES,
    *runs.ROUTES,
    *stacks.ROUTES,
    *stack_pages.ROUTES,
    *alerts.ROUTES,
    *snooze.ROUTES,
    *channels.ROUTES,
    *access.ROUTES,
    *people.ROUTES,
    *roles.ROUTES,
    *tokens.ROUTES,
    *recovery.ROUTES,
    *audit.ROUTES,
    *reference.ROUTES,
    *assets.ROUTES,
    *socket.ROUTES,
)

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not no-referrer: it would make browsers send "Origin: null" with our own forms.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000")


def create_app(
    site: Site,
    mounts: Mapping[str, ASGIApp] | None = None,
    limits: access.SignInLimits | None = None,
    requests: Requests | None = None,
) -> ASGIApp:
    """The hub's ASGI application. A mount takes its path and all below it, unchanged and past the sign-in."""
    return _Front(create_pages(site, limits or access.SignInLimits()), dict(mounts or {}), requests or Requests())


def create_pages(site: Site, limits: access.SignInLimits) -> Litestar:
    """Pages, API and the agents' socket alone."""
    return Litestar(
        route_handlers=list(ROUTES),
        guards=[admit],
        before_request=before,
        middleware=[witness],
        exception_handlers=HANDLERS,
        response_class=Json,
        state=State(
            {"site": site, "limits": limits, "refusals": Refusals(), "description": partial(describe, ROUTES)}
        ),
        openapi_config=None,  # Litestar's own pages fetch their scripts from elsewhere; reference.py has ours
        compression_config=CompressionConfig(backend="gzip", minimum_size=1024, gzip_compress_level=1),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
        debug=False,
    )


class _Front:
    """Mounts before everything; HEAD answered as GET without its body; headers on every answer of ours.

    All that is asked is counted.
    """

    def __init__(self, pages: Litestar, mounts: dict[str, ASGIApp], requests: Requests) -> None:
        self.pages = pages
        self._mounts = mounts
        self._count = cast(Any, requests.count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:  # mounts know nothing of those
            await self._count(self.pages, scope, receive, send)
        elif scope["type"] != ScopeType.HTTP:
            await self.pages(scope, receive, send)
        elif (prefix := self._mounted(scope["path"])) is not None:
            path = prefix if scope["path"] == prefix else UNMATCHED
            await self._count(self._mounts[prefix], scope, receive, send, method=scope["method"], path=path)
        else:
            await self._answer(scope, receive, send)

    def _mounted(self, path: str) -> str | None:
        return next((prefix for prefix in self._mounts if path == prefix or path.startswith(prefix + "/")), None)

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:
        bodiless = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if bodiless else scope
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(
            cast(HTTPScope, {**scope, "litestar_app": self.pages})
        )
        added = (*HEADERS, HSTS) if is_secure(connection) else HEADERS

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *added]
                # What a signed-in person saw must not come back from a cache after they left.
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            elif bodiless and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await self._count(self.pages, inner, receive, told, method=scope["method"])
