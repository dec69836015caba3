"""The one hook that writes requests into the audit log, before anything is changed and when it is over.

Comes in: every unsafe request. Goes out: rows, by ``service/audit.py``. The one rule: a change that cannot be written
down beforehand is not carried out; what machines tell is no change of people, and goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from lastgood.errors import AccessError, NoRoom, StoreError
from lastgood.ids import ulid
from lastgood.model.audit import ActorKind, Ending, Entry, Target, Who
from lastgood.web.audited import OPENED, Audited, When, audited, kept, name_of, target_of, told_of
from lastgood.web.limits import Attempts, address_key
from lastgood.web.session import SAFE_METHODS, caller_address, check_form, check_size, site_of
from lastgood.web.site import Actor

LARGEST_READ = 64 * 1024
"""Of a larger field nothing is kept but its name."""
LONGEST_KEY = 64

_BEGUN = "lastgood.begun"
_KINDS = {str(kind): kind for kind in ActorKind}

_log = structlog.get_logger("lastgood.audit")

Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class _Begun:
    seq: int
    entry: Entry


class Refusals:
    """How many rows of what was refused, or of strangers, are written: enough to see it, too few to fill a disk.

    One an application, for the framework makes the middleware anew for each route.
    """

    def __init__(self) -> None:
        self._by_key = Attempts(30, timedelta(minutes=5))
        self._of_all = Attempts(300, timedelta(minutes=5))
        self._unwritten = 0

    def admit(self, key: str, now: datetime) -> dict[str, object] | None:
        """Details for the row, with how many were left out before it; None if this one is left out as well."""
        if self._by_key.wait(key, now) is not None or self._of_all.wait("", now) is not None:
            self._unwritten += 1
            return None
        unwritten, self._unwritten = self._unwritten, 0
        return {"left_out_before": unwritten} if unwritten else {}


async def before(request: Request[Any, Any, Any]) -> None:
    """Check the form, then write that a change begins. Raises StoreError, and then nothing may be changed."""
    await check_size(request)
    await check_form(request)
    if request.method in SAFE_METHODS:
        return
    if _rule(request.scope).when is not When.BEFORE:
        return
    said = await _said(request)
    rule = audited(request.method, _template(request.scope), said)
    site = site_of(request)
    entry = Entry(
        action=rule.action,
        outcome=Ending.BEGUN,
        who=_who(request.scope.get("user")),
        target=target_of(rule, request.path_params, said, site.view()),
        address=_address(request),
        request_id=_request_id(request),
        details=kept(said),
    )
    try:
        seq = await site.audit.write(entry)
    except StoreError as error:
        sentence = f"Nothing was changed, since it cannot be written into the audit log. {error}"
        raise (NoRoom(sentence) if isinstance(error, NoRoom) else StoreError(sentence, retry=error.retry)) from error
    scope: Any = request.scope
    scope[_BEGUN] = _Begun(seq, entry)


def witness(app: ASGIApp) -> ASGIApp:
    """Middleware that writes how each change ended, before its caller hears of it."""

    async def witnessed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] in SAFE_METHODS:
            await app(scope, receive, send)
            return
        is_over = False

        async def told(message: Message) -> None:
            nonlocal is_over
            if message["type"] == "http.response.start" and not is_over:
                is_over = True
                await _end(scope, message["status"])
            await send(message)

        try:
            await app(scope, receive, told)
        finally:
            if not is_over:
                await _end(scope, 500)

    return witnessed


async def _end(scope: Any, status: int) -> None:
    connection: Connection = ASGIConnection(scope)
    begun: _Begun | None = scope.get(_BEGUN)
    entry = _ending(scope, begun, status) if begun is not None else _single(connection, scope, status)
    if entry is not None:
        await site_of(connection).audit.note(entry)


def _ending(scope: Any, begun: _Begun, status: int) -> Entry:
    told = told_of(scope)
    details: dict[str, object] = {"status": status}
    return Entry(
        action=begun.entry.action,
        outcome=_outcome(status),
        begun=begun.seq,
        who=begun.entry.who,
        target=begun.entry.target if told is None or not told.target.kind else told.target,
        address=begun.entry.address,
        request_id=begun.entry.request_id,
        details=details if told is None else details | told.details,
    )


def _single(connection: Connection, scope: Any, status: int) -> Entry | None:
    """The row of what was not begun: what is written afterwards alone, and what was refused at the door."""
    rule, told, outcome = _rule(scope), told_of(scope), _outcome(status)
    actor: Actor | None = scope.get("user")
    if rule.when is When.TOLD and told is None:
        return None
    if actor is None and not connection.route_handler.opt.get("public"):
        return None  # a stranger sent away
    if rule.when is When.BEFORE and outcome is not Ending.REFUSED:
        return None  # the log itself could not be written
    site = site_of(connection)
    who = told.who if told is not None and told.who is not None else _who(actor)
    details: dict[str, object] = {"status": status, **({} if told is None else told.details)}
    if outcome is not Ending.DONE or who.kind in (ActorKind.STRANGER, ActorKind.AGENT):
        address = address_key(caller_address(connection))
        key = f"{who.kind} {who.id or address}"
        admitted = connection.app.state.refusals.admit(key, site.now())
        if admitted is None:
            return None
        details |= admitted
    target = told.target if told is not None and told.target.kind else _target(rule, scope, site)
    return Entry(
        action=rule.refused if rule.refused is not None and outcome is not Ending.DONE else rule.action,
        outcome=outcome,
        who=who,
        target=target,
        address=_address(connection),
        request_id=_request_id(connection),
        details=details,
    )


def _target(rule: Audited, scope: Any, site: Any) -> Target:
    its_id = str(scope.get("path_params", {}).get(rule.by, "")) if rule.by else ""
    return Target(kind=rule.target, id=its_id, name=name_of(rule.target, its_id, site.view()))


def _outcome(status: int) -> Ending:
    if status < 400:
        return Ending.DONE
    return Ending.REFUSED if status < 500 else Ending.FAILED


def _rule(scope: Any) -> Audited:
    return audited(scope["method"], _template(scope))


def _template(scope: Any) -> str:
    return str(scope.get("path_template", ""))


def _who(actor: Actor | None) -> Who:
    if actor is None:
        return Who(kind=ActorKind.STRANGER)
    return Who(kind=_KINDS.get(actor.kind, ActorKind.PERSON), id=actor.id, name=actor.name)


def _address(connection: Connection) -> str:
    address = caller_address(connection)
    return "" if address is None else str(address)


def _request_id(connection: Connection) -> str:
    """The caller's own key, by which a retry is known, or a new id."""
    key = connection.headers.get("idempotency-key", "")
    return key[:LONGEST_KEY] if key else ulid(site_of(connection).now())


async def _said(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The fields of the body; empty for what cannot be read, which the route refuses by itself."""
    kind = request.content_type[0]
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        said: dict[str, Any] = {}
        for name, value in (await request.form()).items():
            if name in said:  # one route takes the first, another the last: what was meant could not be written down
                raise AccessError(f"The form names {name[:40]!r} twice; reload the page and try again.", status=400)
            said[name] = value
        return {name: value for name, value in said.items() if isinstance(value, str)}
    body = await request.body()
    try:
        return _fields(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _fields(body: bytes | msgspec.Raw) -> dict[str, Any]:
    """Whatever the size of the whole, so that nobody hides a field behind many others, or behind blanks."""
    return {name: _field(name, part) for name, part in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}


def _field(name: str, part: msgspec.Raw) -> Any:
    raw = bytes(part)
    if len(raw) <= LARGEST_READ:
        return msgspec.json.decode(raw)
    return _fields(raw) if name in OPENED else ()
