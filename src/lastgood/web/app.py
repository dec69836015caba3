"""The web application: every route, the guard before them, and what each response carries.

Comes in: ``Site`` and other ASGI applications to mount (scrape, health). Goes out: one ASGI application. The one
rule: a route is registered here through the ``ROUTES`` of its file, so that the guard, the form check and the
headers hold for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.router import Router
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from lastgood import __version__
from lastgood.web import access, alerts, assets, hosts, overview, reference, repositories, runs, socket, sources
from lastgood.web.faults import HANDLERS
from lastgood.web.session import admit, check_form, is_secure
from lastgood.web.site import Site

__all__ = ["Site", "create_app"]

LARGEST_BODY = 1024 * 1024

ROUTES = (
    *overview.ROUTES,
    *sources.ROUTES,
    *hosts.ROUTES,
    *repositories.ROUTES,
    *runs.ROUTES,
    *alerts.ROUTES,
    *access.ROUTES,
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


def create_app(site: Site, mounts: Mapping[str, ASGIApp] | None = None) -> ASGIApp:
    """The hub's ASGI application. A mount takes its path and all below it, unchanged and past the sign-in."""
    return _Front(create_pages(site), dict(mounts or {}))


def create_pages(site: Site) -> Litestar:
    """Pages, API and the agents' socket alone."""
    return Litestar(
        route_handlers=list(ROUTES),
        guards=[admit],
        before_request=check_form,
        exception_handlers=HANDLERS,
        state=State({"site": site, "limits": access.SignInLimits()}),
        openapi_config=_openapi(),
        compression_config=CompressionConfig(backend="gzip", minimum_size=1024, gzip_compress_level=3),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
        debug=False,
    )


def _openapi() -> OpenAPIConfig:
    # Litestar's own pages fetch their scripts from elsewhere; reference.py shows the same description without.
    return OpenAPIConfig(
        title="lastgood",
        version=__version__,
        description="Hosts, sources, repositories, runs and alerts of one hub.",
        path="/docs/schema",
        render_plugins=[],
        openapi_router=Router("/docs/schema", route_handlers=[], include_in_schema=False),
    )


class _Front:
    """Mounts before everything; HEAD answered as GET without its body; headers on every answer of ours."""

    def __init__(self, pages: Litestar, mounts: dict[str, ASGIApp]) -> None:
        self.pages = pages
        self._mounts = mounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mounted = self._mounted(scope.get("path", ""))  # a lifespan has no path
        if mounted is not None:
            await mounted(scope, receive, send)
        elif scope["type"] == ScopeType.HTTP:
            await self._answer(scope, receive, send)
        else:
            await self.pages(scope, receive, send)

    def _mounted(self, path: str) -> ASGIApp | None:
        for prefix, app in self._mounts.items():
            if path == prefix or path.startswith(prefix + "/"):
                return app
        return None

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:
        bodiless = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if bodiless else scope
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(
            cast(HTTPScope, {**scope, "litestar_app": self.pages})
        )
        added = (*HEADERS, HSTS) if is_secure(connection) else HEADERS

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            elif bodiless and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await self.pages(cast(Scope, inner), receive, told)
