"""History read for pages and programs: runs, due moments and alerts of any age, a page at a time.

Comes in: what to look for and a cursor as text. Goes out: readings, newest first, and the next cursor. The one
rule: a cursor that we did not write is refused, never guessed at.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from lastgood.errors import LastgoodError
from lastgood.fleet.fleet import FleetView
from lastgood.model.job import Outcome, Run, RunKind, Status
from lastgood.store import history
from lastgood.web import reader
from lastgood.web.faults import Invalid
from lastgood.web.readings import AlertReading, MomentReading, RunReading
from lastgood.web.site import Site

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR = 4_102_444_800_000_000  # the year 2100, in microseconds


async def runs(
    site: Site,
    view: FleetView,
    *,
    limit: int,
    cursor: str | None = None,
    source_id: str | None = None,
    host_id: str | None = None,
    repository_id: str | None = None,
    kind: RunKind | None = None,
    status: Status | None = None,
    outcome: Outcome | None = None,
) -> tuple[list[RunReading], str | None]:
    """Runs that ended."""
    query = partial(
        history.list_runs,
        source_id=source_id,
        host_id=host_id,
        repository_id=repository_id,
        kind=kind,
        status=status,
        outcome=outcome,
        hosts=site.only,
        after=decode_cursor(cursor),
        limit=limit,
    )
    found = await site.read_in_step(query)
    return [reader.ended_reading(view, run) for run in found.runs], encode_cursor(found.more)


async def run(site: Site, view: FleetView, run_id: str) -> tuple[RunReading, str] | None:
    """A run and its log; one under way has none yet."""
    under_way = view.running.get(run_id)
    if under_way is not None:
        return reader.running_reading(view, under_way, site.progress()), ""
    found = await site.read_in_step(partial(history.find_run, run_id=run_id))
    if found is None:
        return None
    row, log = found
    if site.only is not None and row.host_id not in site.only:
        return None
    if isinstance(row, Run):
        return reader.ended_reading(view, row), log
    view = site.view()  # it may have begun since the caller's was made; a run that lasts is not lost
    if run_id in view.running:
        return reader.running_reading(view, view.running[run_id], site.progress()), ""
    return reader.begun_reading(view, row), log


async def moments(site: Site, source_id: str, *, limit: int) -> list[MomentReading]:
    """The last due moments that the ledger has closed."""
    rows = await site.read_in_step(partial(history.list_ledger, source_id=source_id, limit=limit))
    return [reader.moment_reading(row) for row in rows]


async def alerts(
    site: Site,
    view: FleetView,
    *,
    limit: int,
    cursor: str | None = None,
    host_id: str | None = None,
    rule: str | None = None,
) -> tuple[list[AlertReading], str | None]:
    """Alerts, open and resolved."""
    found = await site.read_in_step(
        partial(
            history.list_alerts, host_id=host_id, rule=rule, hosts=site.only, after=decode_cursor(cursor), limit=limit
        )
    )
    return [reader.past_alert_reading(view, row) for row in found.alerts], encode_cursor(found.more)


def encode_cursor(cursor: history.Cursor | None) -> str | None:
    return None if cursor is None else f"{(cursor[0] - _EPOCH) // timedelta(microseconds=1)}.{cursor[1]}"


def decode_cursor(text: str | None) -> history.Cursor | None:
    if text is None:
        return None
    moment, dot, identifier = text.partition(".")
    if not (dot and identifier and moment.isascii() and moment.isdecimal() and len(moment) < 17):
        raise _not_ours()
    if int(moment) > _FAR:
        raise _not_ours()
    return _EPOCH + timedelta(microseconds=int(moment)), identifier


def _not_ours() -> LastgoodError:
    return Invalid("cursor", "The cursor is none that a list gave out; begin without it.")
