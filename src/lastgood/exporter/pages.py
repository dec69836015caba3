"""The small pages of an exporter: what it is, and whether it lives.

Comes in: GET and HEAD. Goes out: HTML and one sentence. The one rule: nothing here names a server or anything that is
backed up, since these pages are open where ``/metrics`` asks for a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape

from lastgood import __version__
from lastgood.clock import Clock
from lastgood.web.asgi import READ_METHODS, App, Receive, Scope, Send, answer, refuse_method, say

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
<p>lastgood {version}</p>
<ul>
{links}
</ul>
</body>
</html>
"""


def info(title: str, paths: Sequence[tuple[str, str]]) -> App:
    """``/``: the name of the exporter and where to go, as (path, words)."""
    links = "\n".join(
        f'<li><a href="{escape(path)}">{escape(path)}</a> {escape(words)}</li>' for path, words in paths
    )
    body = _PAGE.format(title=escape(title), version=escape(__version__), links=links).encode()
    headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in READ_METHODS:
            await refuse_method(scope, send)
            return
        await answer(scope, send, 200, headers, body)

    return app


def health(clock: Clock, drawn_at: Callable[[], Sequence[datetime | None]]) -> App:
    """``/health``: 200 while the process lives; the body says how old its pictures are, for people."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in READ_METHODS:
            await refuse_method(scope, send)
            return
        await say(scope, send, 200, f"OK. {ages(clock(), drawn_at())}")

    return app


def ages(now: datetime, drawn_at: Sequence[datetime | None]) -> str:
    """How old what is told is."""
    known = [max(0, int((now - at).total_seconds())) for at in drawn_at if at is not None]
    if not known:
        return "No server has answered yet."
    some = "" if len(known) == len(drawn_at) else f" {len(drawn_at) - len(known)} of {len(drawn_at)} never answered."
    if len(known) == 1:
        return f"The picture is {known[0]} s old.{some}"
    return f"The newest picture is {min(known)} s old, the oldest {max(known)} s.{some}"
