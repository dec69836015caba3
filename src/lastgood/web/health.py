"""Alive and ready: what supervisors, proxies and container engines ask.

Comes in: a question whether anything stands in the way of serving. Goes out: ``/healthz`` and ``/-/healthy`` (200
while the process answers at all) and ``/-/ready`` (503 until everything is loaded, and while we end). The one rule:
no gate and no lock; an answer here needs nothing but the event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from lastgood.web.asgi import READ_METHODS, App, Receive, Scope, Send, refuse_method, say


async def alive(scope: Scope, receive: Receive, send: Send) -> None:
    """200: the process answers."""
    if scope["method"] not in READ_METHODS:
        await refuse_method(scope, send)
        return
    await say(scope, send, 200, "lastgood is alive.")


def ready(unready: Callable[[], str | None]) -> App:
    """200, or 503 with the sentence that ``unready`` gives while something stands in the way."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in READ_METHODS:
            await refuse_method(scope, send)
            return
        reason = unready()
        await say(scope, send, 200 if reason is None else 503, reason or "lastgood is ready.")

    return app


def health_routes(unready: Callable[[], str | None]) -> dict[str, App]:
    """The three paths with their apps, as ``create_app`` mounts them."""
    return {"/healthz": alive, "/-/healthy": alive, "/-/ready": ready(unready)}
