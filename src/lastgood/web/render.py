"""Templates and JSON bodies: how a reading becomes bytes.

Comes in: readings and words. Goes out: Litestar responses. The one rule: everything is escaped, in templates by
autoescape and in JSON by msgspec, and text that no encoding carries is mended at this last step, nowhere before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import jinja2
import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie
from markupsafe import Markup, escape

from lastgood import __version__
from lastgood.web import assets, words
from lastgood.web.session import form_holder, is_secure, make_form_token, site_of

_UNPRINTABLE = re.compile("[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LONGEST_NAME = 200
LONGEST_SENTENCE = 600


class Json(Response[Any]):
    """A JSON body; lone surrogates become the replacement character."""

    def __init__(self, content: Any, **options: Any) -> None:
        options.setdefault("media_type", "application/json")
        super().__init__(content, **options)

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        if isinstance(content, bytes):
            return content
        return encode(content)


def encode(content: Any) -> bytes:
    """JSON for any reading."""
    try:
        return msgspec.json.encode(content)
    except UnicodeEncodeError:
        return msgspec.json.encode(_mended(msgspec.to_builtins(content)))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return words.printable(value)
    if isinstance(value, dict):
        return {_mended(key): _mended(member) for key, member in value.items()}
    return [_mended(member) for member in value] if isinstance(value, list | tuple) else value


def page(
    request: Request[Any, Any, Any],
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cookies: tuple[Cookie, ...] = (),
    form_token: str | None = None,
    **context: Any,
) -> Response[bytes]:
    """A page in its layout, with all that the layout itself needs.

    Long lists are built with this in a thread, over a frozen view; they pass ``open_alerts`` along.
    """
    site, actor = site_of(request), request.scope.get("user")
    if "open_alerts" not in context:  # given by whoever is in a thread, where the fleet may not be asked
        context["open_alerts"] = len(site.view().alerts) if actor is not None else 0
    now = site.now()
    context |= {
        "now": now,
        "actor": actor,
        "may": actor.may if actor is not None else _nothing,
        "undelivered_notices": site.channels.outbox.undelivered if actor is not None else 0,
        "path": request.scope["path"],
        "secure": is_secure(request),
        "version": __version__,
        "form_token": form_token or make_form_token(site.secret_key, form_holder(request)),
    }
    body = _UNPRINTABLE.sub("\ufffd", ENVIRONMENT.get_template(template).render(context)).encode()
    options: dict[str, Any] = {"status_code": status, "headers": dict(headers or {}), "cookies": cookies}
    return Response(body, media_type="text/html; charset=utf-8", **options)


def _nothing(*_permissions: str) -> bool:
    return False


def redirect(path: str, *, cookies: tuple[Cookie, ...] = ()) -> Response[bytes]:
    """Go on with GET; for paths of ours only."""
    return Response(b"", media_type="text/plain", status_code=303, headers={"Location": path}, cookies=cookies)


def moment(at: datetime | None, now: datetime) -> Markup:
    """A relative time that tells the absolute one to whoever asks."""
    if at is None:
        return escape(words.DASH)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), words.absolute(at), words.ago(at, now)
    )


def since(at: datetime | None, now: datetime) -> Markup:
    """As ``moment``, of what is over: told while our clock was ahead, it is no age below zero."""
    if at is None or at <= now:
        return moment(at, now)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), words.absolute(at), words.ago(now, now)
    )


def name(text: str | None, longest: int = LONGEST_NAME) -> Markup:
    """A name as somebody gave it: apart from its surroundings, whatever its direction, and not endless."""
    if text is None:
        return escape(words.DASH)
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return Markup("<bdi>{}</bdi>").format(shown or "(no name)")


def sentence(text: str | None) -> Markup:
    """As ``name``, of what tells at its end how to mend it."""
    return name(text, LONGEST_SENTENCE)


def seconds(count: float | None) -> timedelta | None:
    return None if count is None else timedelta(seconds=count)


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("lastgood.web", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {
    "absolute": words.absolute,
    "ago": words.ago,
    "bound": words.bound,
    "kept": words.kept,
    "lasted": words.lasted,
    "moment": moment,
    "name": name,
    "sentence": sentence,
    "number": words.number,
    "seconds": seconds,
    "since": since,
    "size": words.size,
    "span": words.span,
    "timetable": words.timetable,
}
ENVIRONMENT.globals |= {
    "asset": assets.address,
    "cadence": words.cadence,
    "dash": words.DASH,
    "meaning": words.STATE_MEANINGS,
    "plural": words.plural,
}
