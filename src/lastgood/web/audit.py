"""The audit log as people and programs read it: a page, lists, whole files, and the signed head.

Comes in: filters and cursors. Goes out: actions, newest first, or rows as they are chained, oldest first. The one
rule: nothing here writes; who reads the log must not be able to change it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from lastgood.auth.chain import COLUMNS, Head
from lastgood.model.audit import ACTIONS, Ending
from lastgood.store import audit as rows
from lastgood.store.audit import Recorded, Wanted
from lastgood.web import lists
from lastgood.web.faults import Invalid
from lastgood.web.render import encode, page
from lastgood.web.session import site_of
from lastgood.web.site import Site

AT_ONCE = 1_000
"""Rows of a file that are in memory at one time."""
_LONGEST_FILTER = 300
_LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC)


class ActorReading(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it; ``kind`` is person, token, agent, system, local or stranger."""

    kind: str
    id: str
    name: str


class TargetReading(msgspec.Struct, frozen=True, kw_only=True):
    """What it was done to; empty where it was about the hub as a whole."""

    kind: str
    id: str
    name: str


class AuditReading(msgspec.Struct, frozen=True, kw_only=True):
    """One action. ``outcome`` is done, refused, failed, or begun while no end was written."""

    seq: int
    at: datetime
    ended_at: datetime | None
    action: str
    outcome: str
    actor: ActorReading
    target: TargetReading
    address: str
    request_id: str
    details: dict[str, Any]


class AuditList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; ``next_cursor`` is None on the last page."""

    items: list[AuditReading]
    next_cursor: str | None


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log has come, signed by the hub; null before its first row."""

    head: Head | None


ActionFilter = Annotated[
    str | None, QueryParameter(description="An action such as source.write, or all of a kind: source.")
]
ActorFilter = Annotated[str | None, QueryParameter(description="Name or id of who did it.")]
TargetFilter = Annotated[str | None, QueryParameter(description="Name or id of what it was done to.")]
OutcomeFilter = Annotated[str | None, QueryParameter(description="done, refused, failed or begun.")]
SinceFilter = Annotated[str | None, QueryParameter(description="A day, or a moment with its time zone.")]
UntilFilter = Annotated[str | None, QueryParameter(description="As since; this moment is not within.")]


@get("/audit", include_in_schema=False)
async def audit_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    asked = request.query_params
    names = ("action", "actor", "target", "outcome", "since", "until", "cursor")
    action, actor, target, outcome, since, until, cursor = (asked.get(name) or None for name in names)
    wanted = _wanted(action, actor, target, outcome, since, until)
    if wanted.until is not None and until is not None and len(until) == len("2026-01-01"):
        whole = min(wanted.until, _LAST_DAY - timedelta(days=1)) + timedelta(days=1)
        wanted = replace(wanted, until=whole)  # people mean the day itself as well
    site = site_of(request)
    found, following = await site.read(
        partial(rows.recorded, wanted=wanted, before=_number(cursor), limit=lists.ROWS)
    )
    query = {"action": action, "actor": actor, "target": target, "outcome": outcome, "since": since, "until": until}
    return page(
        request,
        "audit.html",
        rows=[_Line(one) for one in found],
        wanted={name: value or "" for name, value in query.items()},
        kinds=sorted({name.partition(".")[0] for name in ACTIONS}),
        actions=ACTIONS,
        outcomes=[str(one) for one in Ending],
        head=site.audit.moment,
        newest=lists.address("/audit", query) if cursor else None,
        older=lists.address("/audit", {**query, "cursor": str(following)}) if following else None,
        export=lists.address("/api/v1/audit/export", {**query, "format": "csv"}),
    )


@get("/api/v1/audit", tags=["audit"], summary="What was done, by whom, newest first")
async def list_audit(
    request: Request[Any, Any, Any],
    action: ActionFilter = None,
    actor: ActorFilter = None,
    target: TargetFilter = None,
    outcome: OutcomeFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    limit: FromQuery[int] = lists.DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> AuditList:
    wanted = _wanted(action, actor, target, outcome, since, until)
    query = partial(rows.recorded, wanted=wanted, before=_number(cursor), limit=lists.check_limit(limit))
    found, following = await site_of(request).read(query)
    items = [_reading(one) for one in found]
    return AuditList(items=items, next_cursor=None if following is None else str(following))


@get("/api/v1/audit/head", tags=["audit"], summary="How far the log has come, signed; keep it elsewhere")
async def audit_head(request: Request[Any, Any, Any]) -> AuditHead:
    return AuditHead(head=site_of(request).audit.head())


@get(
    "/api/v1/audit/export",
    tags=["audit"],
    summary="All rows as they are chained, oldest first, as CSV or as one JSON object a line",
)
async def export_audit(
    request: Request[Any, Any, Any],
    wished: Annotated[str, QueryParameter(name="format", description="csv or jsonl.")] = "jsonl",
    action: ActionFilter = None,
    actor: ActorFilter = None,
    target: TargetFilter = None,
    outcome: OutcomeFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
) -> Stream:
    if wished not in ("csv", "jsonl"):
        raise Invalid("format", "The format is csv or jsonl.")
    wanted = _wanted(action, actor, target, outcome, since, until)
    site = site_of(request)
    today = site.now().astimezone(UTC).date().isoformat()
    kind = "text/csv" if wished == "csv" else "application/x-ndjson"
    headers = {"Content-Disposition": f'attachment; filename="lastgood-audit-{today}.{wished}"'}
    return Stream(_lines(site, wanted, as_csv=wished == "csv"), media_type=kind, headers=headers)


async def _lines(site: Site, wanted: Wanted, *, as_csv: bool) -> AsyncIterator[bytes]:
    after = 0
    if as_csv:
        yield _csv([dict(zip(COLUMNS, COLUMNS, strict=True))])
    while True:
        found = await site.read(partial(rows.raw_rows, wanted=wanted, after=after, limit=AT_ONCE))
        if found:
            yield _csv(found) if as_csv else b"".join(encode(row) + b"\n" for row in found)
        if len(found) < AT_ONCE:
            return
        after = found[-1]["seq"]


def _csv(found: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in found:
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value


class _Line:
    """An action as the page's table has it: what was said in one line."""

    def __init__(self, one: Recorded) -> None:
        self.seq, self.at, self.action, self.outcome = one.seq, one.at, one.action, one.outcome
        self.actor, self.target, self.address = one.who, one.target, one.address
        self.run_id = one.details.get("run_id")
        said = one.details.get("given")
        parts = said.items() if isinstance(said, dict) else ()
        self.given = "; ".join(f"{name}: {_word(value)}" for name, value in parts)


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _reading(one: Recorded) -> AuditReading:
    return AuditReading(
        seq=one.seq,
        at=one.at,
        ended_at=one.ended_at,
        action=one.action,
        outcome=str(one.outcome),
        actor=ActorReading(kind=str(one.who.kind), id=one.who.id, name=one.who.name),
        target=TargetReading(kind=one.target.kind, id=one.target.id, name=one.target.name),
        address=one.address,
        request_id=one.request_id,
        details=one.details,
    )


def _wanted(
    action: str | None,
    actor: str | None,
    target: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
) -> Wanted:
    for name, said in (("action", action), ("actor", actor), ("target", target)):
        if said is not None and len(said) > _LONGEST_FILTER:
            raise Invalid(name, f"{name} takes at most {_LONGEST_FILTER} characters.")
    if outcome is not None and outcome not in set(Ending):
        raise Invalid("outcome", f"outcome is one of {', '.join(Ending)}.")
    return Wanted(
        action=action or None,
        actor=actor or None,
        target=target or None,
        outcome=None if outcome is None else Ending(outcome),
        since=_moment("since", since),
        until=_moment("until", until),
    )


def _moment(field: str, said: str | None) -> datetime | None:
    if not said:
        return None
    try:
        if len(said) == len("2026-01-01"):
            day = date.fromisoformat(said)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        found = datetime.fromisoformat(said)
    except ValueError:
        raise Invalid(field, f"{field} is a day such as 2026-01-31, or a moment such as 2026-01-31T12:00Z.") from None
    if found.tzinfo is None:
        raise Invalid(field, f"{field} lacks its time zone; end it with Z or an offset.")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise Invalid(field, f"{field} lies outside of every calendar; name a later or an earlier moment.") from None


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise Invalid("cursor", "The cursor is none that a list gave out; begin without it.")
    return int(cursor)


ROUTES = (audit_page, list_audit, audit_head, export_audit)
