"""What happened: runs, the ledger of due moments and alerts, as rows with an age limit.

Rows are written with the facts that state them (``store/telling.py``) or, for the ledger, by the checkpoint; pages
and the API read them here, a page at a time. The one rule: history is told, never judged from; what "good" means is
decided in memory, and losing old rows changes no state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, and_, bindparam, delete, or_, select
from sqlalchemy.sql.expression import ColumnElement

from lastgood.fleet.ledger import LedgerRow
from lastgood.model.alert import Severity
from lastgood.model.job import Outcome, Run, RunKind, RunStart, Status
from lastgood.model.source import Moment
from lastgood.store.codec import decoder
from lastgood.store.schema import alerts, ledger, marks, run_logs, runs, upsert

PAGE = 100
Cursor = tuple[datetime, str]
"""Where a page ended: the moment and id of its last row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAlert:
    """An alert as the history has it; ``resolved_at`` None means that it is open."""

    id: str
    rule: str
    entity_kind: str
    entity_id: str
    severity: Severity
    message: str
    host_id: str | None
    opened_at: datetime
    resolved_at: datetime | None
    reason: str | None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    runs: tuple[Run, ...]
    more: Cursor | None


@dataclass(frozen=True, slots=True)
class AlertPage:
    alerts: tuple[PastAlert, ...]
    more: Cursor | None


def list_runs(
    connection: Connection,
    *,
    source_id: str | None = None,
    host_id: str | None = None,
    repository_id: str | None = None,
    kind: RunKind | None = None,
    status: Status | None = None,
    outcome: Outcome | None = None,
    hosts: Collection[str] | None = None,
    after: Cursor | None = None,
    limit: int = PAGE,
) -> RunPage:
    """Ended runs, newest first, of ``hosts`` alone if they are given; ``after`` is the ``more`` of the page before.
    Those under way are in the fleet."""
    query = select(runs.c.body).where(runs.c.ended_at.is_not(None))
    for column, wanted in (
        (runs.c.source_id, source_id),
        (runs.c.host_id, host_id),
        (runs.c.repository_id, repository_id),
        (runs.c.kind, kind),
        (runs.c.status, status),
        (runs.c.outcome, outcome),
    ):
        if wanted is not None:
            query = query.where(column == str(wanted))
    if hosts is not None:
        query = query.where(runs.c.host_id.in_(sorted(hosts)))
    query = _page(query, runs.c.ended_at, runs.c.id, after, limit)
    read = decoder(Run)
    found = tuple(read(body) for (body,) in connection.execute(query))
    return RunPage(found[:limit], (found[limit - 1].ended_at, found[limit - 1].id) if len(found) > limit else None)


def find_run(connection: Connection, run_id: str) -> tuple[Run | RunStart, str] | None:
    """One run and what its tool wrote; a ``RunStart`` while we have heard of no end. None if it is unknown."""
    query = (
        select(runs.c.body, runs.c.ended_at, run_logs.c.log)
        .select_from(runs.outerjoin(run_logs, run_logs.c.run_id == runs.c.id))
        .where(runs.c.id == run_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    body, ended_at, log = row
    run: Run | RunStart = decoder(RunStart)(body) if ended_at is None else decoder(Run)(body)
    return run, log or ""


def list_ledger(
    connection: Connection, source_id: str, *, before: datetime | None = None, limit: int = PAGE
) -> list[LedgerRow]:
    """The closed due moments of a source, newest first; ``before`` is the oldest moment of the page before."""
    query = select(ledger).where(ledger.c.source_id == source_id).order_by(ledger.c.due_at.desc()).limit(limit)
    if before is not None:
        query = query.where(ledger.c.due_at < before)
    return [
        LedgerRow(row.source_id, row.due_at, row.deadline_at, Moment(row.result)) for row in connection.execute(query)
    ]


def save_ledger(connection: Connection, rows: Iterable[LedgerRow]) -> None:
    """Keep closed due moments; a later word about the same moment replaces the earlier."""
    upsert(
        connection,
        ledger,
        [
            {"source_id": r.source_id, "due_at": r.due_at, "deadline_at": r.deadline_at, "result": str(r.result)}
            for r in rows
        ],
    )


def list_alerts(
    connection: Connection,
    *,
    host_id: str | None = None,
    rule: str | None = None,
    hosts: Collection[str] | None = None,
    after: Cursor | None = None,
    limit: int = PAGE,
) -> AlertPage:
    """Alerts, open and resolved, newest opening first; ``after`` is the ``more`` of the page before."""
    query = select(*(column for column in alerts.columns if column.name not in ("seq", "silent")))
    if host_id is not None:
        query = query.where(alerts.c.host_id == host_id)
    if rule is not None:
        query = query.where(alerts.c.rule == rule)
    if hosts is not None:
        query = query.where(alerts.c.host_id.in_(sorted(hosts)))
    query = _page(query, alerts.c.opened_at, alerts.c.id, after, limit)
    found = tuple(
        PastAlert(**{**row, "severity": Severity(row["severity"])}) for row in connection.execute(query).mappings()
    )
    return AlertPage(found[:limit], (found[limit - 1].opened_at, found[limit - 1].id) if len(found) > limit else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepFrom:
    """The oldest moments that the history still holds, each from its own age limit."""

    runs: datetime
    ledger: datetime
    alerts: datetime
    requests: datetime


def trim(connection: Connection, keep: KeepFrom, limit: int = 1_000) -> int:
    """Remove at most ``limit`` rows of each kind that are too old; answers how many went, 0 when all is done."""
    gone = _trim(connection, runs, runs.c.ended_at < keep.runs, limit)
    gone += _trim(connection, runs, and_(runs.c.ended_at.is_(None), runs.c.started_at < keep.runs), limit)
    gone += _trim(connection, ledger, ledger.c.due_at < keep.ledger, limit)
    gone += _trim(connection, alerts, _over_before(keep.alerts), limit)
    spent = and_(marks.c.stream.startswith("request:"), marks.c.moved_at < keep.requests)
    return gone + _trim(connection, marks, spent, limit)


def _over_before(moment: datetime) -> ColumnElement[bool]:
    """An alert that is over is older than its end; the opening is asked too, for that is what the index knows."""
    return and_(alerts.c.opened_at < moment, alerts.c.resolved_at < moment)


def _trim(connection: Connection, table: Table, old: ColumnElement[bool], limit: int) -> int:
    key: Sequence[Column[Any]] = list(table.primary_key)
    rows = connection.execute(select(*key).where(old).limit(limit)).all()
    if rows:
        one = delete(table).where(*(column == bindparam(f"its_{column.name}") for column in key))
        names = [f"its_{column.name}" for column in key]
        connection.execute(one, [dict(zip(names, row, strict=True)) for row in rows])
    return len(rows)


def _page(query: Select[Any], moment: Column[Any], key: Column[Any], after: Cursor | None, limit: int) -> Select[Any]:
    """Newest first, behind the cursor, and one row more than asked, which tells whether another page follows."""
    if after is not None:
        query = query.where(moment <= after[0], or_(moment < after[0], key < after[1]))
    return query.order_by(moment.desc(), key.desc()).limit(limit + 1)
