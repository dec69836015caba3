"""What is answered when a request cannot be: one JSON shape for programs, one page for people.

``{"error": {"code", "message", "field"?}}`` everywhere below ``/api`` and for whoever sent a bearer token. The
one rule: a message is a sentence for a person and never shows what went wrong inside.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from lastgood.errors import AccessError, CollectError, ConfigError, LastgoodError, NoRoom, StoreError
from lastgood.web.render import Json, page, redirect
from lastgood.web.session import NotSignedIn

log = structlog.get_logger(__name__)

CODES = {
    400: "bad_request",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
    507: "no_room",
}
_SENTENCES = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "The request is larger than 1 MiB.",
    500: "Something broke inside lastgood; the log of the hub says what.",
}
RETRY_SECONDS = 30
"""When to come again while the database takes nothing."""

_NAMED = re.compile(r"field `(\w+)`")
"""How msgspec names a field that is missing or too many."""


class Invalid(LastgoodError):
    """Something a caller wrote does not fit; ``field`` names what."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Conflict(Invalid):
    """Something a caller wrote is fine, but what is there already stands against it."""


class Missing(LastgoodError):
    """Nothing is known under this id."""


class TooMany(LastgoodError):
    """Too many attempts; ``wait`` says when the next one is taken."""

    def __init__(self, wait: timedelta) -> None:
        self.seconds = max(math.ceil(wait.total_seconds()), 1)
        super().__init__(f"Too many attempts; wait {self.seconds} seconds and try again.")


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, in a word for programs and a sentence for people."""

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorBody


def answer(request: Request[Any, Any, Any], fault: Exception) -> Response[Any]:
    """The response for any exception that a request ended in."""
    if isinstance(fault, NotSignedIn) and not for_programs(request):
        return _to_sign_in(request, fault)
    status, message, field = _told(fault)
    if status >= 500:
        _note(request, fault, status)
    headers = dict(fault.headers or {}) if isinstance(fault, HTTPException) else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="lastgood"'
    if isinstance(fault, TooMany):
        headers["Retry-After"] = str(fault.seconds)
    elif isinstance(fault, StoreError):
        headers["Retry-After"] = str(RETRY_SECONDS)
    code = CODES.get(status, "bad_request" if status < 500 else "internal")
    if for_programs(request):
        body = ErrorAnswer(error=ErrorBody(code=code, message=message, field=field))
        return Json(body, status_code=status, headers=headers)
    return page(request, "fault.html", status=status, headers=headers, message=message, code=code)


def _note(request: Request[Any, Any, Any], fault: Exception, status: int) -> None:
    """One log line; it names the route and not the path, which may hold a one-time link."""
    route = request.scope.get("path_template") or "none"
    if isinstance(fault, StoreError):  # its sentence says all, and on a full disk it is said often
        log.error("request failed", method=request.method, route=route, status=status, error=str(fault))
    else:
        log.error("request failed", method=request.method, route=route, status=status, exc_info=fault)


def for_programs(request: Request[Any, Any, Any]) -> bool:
    path = request.scope["path"]
    return path.startswith("/api/") or path.endswith(".json") or "authorization" in request.headers


def _to_sign_in(request: Request[Any, Any, Any], fault: NotSignedIn) -> Response[Any]:
    path = request.scope["path"]
    if fault.empty:
        return page(request, "begin.html") if path == "/" else redirect("/")
    query = request.scope["query_string"].decode("ascii", "replace")
    there = path + (f"?{query}" if query else "") if request.method == "GET" else "/"
    return redirect("/sign-in" if there == "/" else f"/sign-in?next={quote(there, safe='')}")


def _told(fault: Exception) -> tuple[int, str, str | None]:
    """Status, sentence and field."""
    match fault:
        case Conflict():
            return 409, str(fault), fault.field
        case Invalid():
            return 422, str(fault), fault.field
        case ValidationException():
            return _validation(fault)
        case HTTPException():
            return fault.status_code, _SENTENCES.get(fault.status_code, f"{fault.detail.rstrip('.')}."), None
        case Missing():
            return 404, str(fault), None
        case TooMany():
            return 429, str(fault), None
        case AccessError():
            return fault.status, str(fault), None
        case ConfigError():
            return 422, str(fault), None
        case CollectError():
            return 409, str(fault), None
        case NoRoom():
            return 507, str(fault), None
        case StoreError():
            return 503, str(fault), None
        # A body that is no UTF-8, or nested without end, which the framework lets through.
        case UnicodeDecodeError() | RecursionError():
            return 400, _SENTENCES[400], None
        case _:
            return 500, _SENTENCES[500], None


def _validation(fault: ValidationException) -> tuple[int, str, str | None]:
    extra = fault.extra
    first = extra[0] if isinstance(extra, list) and extra and isinstance(extra[0], dict) else {}
    said = str(first.get("message") or "the value does not fit")
    named = _NAMED.search(said)
    key = named[1] if named else str(first.get("key") or "")
    field = key if key not in ("", "data") else None  # "data" is the framework's word for the body
    said = said.replace("`", "").rstrip(".")
    where = f"The field {field}" if field and not named else "The request"
    return 422, f"{where} does not fit: {said[:1].lower()}{said[1:]}.", field


HANDLERS: ExceptionHandlersMap = {HTTPException: answer, LastgoodError: answer, Exception: answer}
