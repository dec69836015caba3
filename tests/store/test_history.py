"""Pages of what happened, in order, complete, and no older than asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from lastgood.fleet.ledger import LedgerRow
from lastgood.model.fact import AlertOpened, AlertResolved, HostRemoved, RunFinished, RunStarted
from lastgood.model.job import Outcome, Run
from lastgood.model.source import Moment
from lastgood.store import history, log
from lastgood.store.database import Database
from lastgood.store.history import KeepFrom
from lastgood.store.log import Append, Mark
from lastgood.store.schema import marks, run_logs, runs
from lastgood.store.telling import Told
from tests.builders import NOW, a_host, a_run, a_run_start, a_source, an_alert

_AT: dict[str, Any] = {"at": NOW, "origin": "test"}
HOME, ETC = a_source("home"), a_source("etc", a_host("web-2"))


async def tell_runs(database: Database, *told: Run, text: str = "") -> None:
    appends = [Append((RunFinished(**_AT, run=run),), log=text) for run in told]
    await database.write(partial(log.append, appends=appends))


async def all_pages(database: Database, limit: int, **wanted: Any) -> list[Run]:
    found: list[Run] = []
    after = None
    while True:
        page = await database.read(partial(history.list_runs, limit=limit, after=after, **wanted))
        assert len(page.runs) <= limit
        found.extend(page.runs)
        if page.more is None:
            return found
        after = page.more


async def test_pages_together_are_all_runs_newest_first_each_once(database: Database) -> None:
    # several end in the same moment, so a page ends in the middle of them
    told = [a_run(HOME, NOW - timedelta(hours=n // 3), id=f"run-{n:02}") for n in range(20)]
    await tell_runs(database, *told)
    expected = sorted(told, key=lambda run: (run.ended_at, run.id), reverse=True)
    for limit in (1, 2, 7, 20, 100):
        assert await all_pages(database, limit) == expected


async def test_runs_are_found_by_source_host_and_outcome(database: Database) -> None:
    good = a_run(HOME, NOW, id="good")
    bad = a_run(HOME, NOW - timedelta(hours=1), Outcome.FAILED, id="bad")
    other = a_run(ETC, NOW - timedelta(hours=2), id="other")
    await tell_runs(database, good, bad, other)
    assert await all_pages(database, 10, source_id=HOME.id) == [good, bad]
    assert await all_pages(database, 10, host_id=ETC.host_id) == [other]
    assert await all_pages(database, 10, outcome=Outcome.FAILED) == [bad]
    assert await all_pages(database, 10, source_id=HOME.id, outcome=Outcome.SUCCESS) == [good]


async def test_a_run_under_way_is_no_part_of_the_list(database: Database) -> None:
    await database.write(partial(log.append, appends=[Append((RunStarted(**_AT, run=a_run_start(HOME)),))]))
    assert await all_pages(database, 10) == []


async def test_an_unknown_run_is_none(database: Database) -> None:
    assert await database.read(partial(history.find_run, run_id="nobody")) is None


async def test_a_log_of_any_bytes_can_be_kept(database: Database) -> None:
    await tell_runs(database, a_run(HOME, id="r"), text="caf\udce9\n")
    found = await database.read(partial(history.find_run, run_id="r"))
    assert found is not None
    assert found[1] == "caf?\n"


async def test_a_late_word_corrects_the_ledger(database: Database) -> None:
    rows = [
        LedgerRow(HOME.id, NOW + timedelta(days=n), NOW + timedelta(days=n, hours=6), Moment.UNKNOWN)
        for n in range(3)
    ]
    corrected = LedgerRow(HOME.id, rows[1].due_at, rows[1].deadline_at, Moment.GOOD)
    await database.write(partial(history.save_ledger, rows=rows))
    await database.write(partial(history.save_ledger, rows=[corrected]))
    expected = [rows[2], corrected, rows[0]]
    assert await database.read(partial(history.list_ledger, source_id=HOME.id)) == expected
    page = partial(history.list_ledger, source_id=HOME.id, limit=2)
    assert await database.read(page) == expected[:2]
    assert await database.read(partial(page, before=expected[1].due_at)) == expected[2:]


async def test_alerts_are_told_from_opening_to_end(database: Database) -> None:
    alert = an_alert(source=HOME)
    opened = AlertOpened(**_AT, alert=alert)
    await database.write(partial(log.append, appends=[Append((opened,))]))
    [row] = (await database.read(partial(history.list_alerts, host_id=HOME.host_id))).alerts
    assert (row.id, row.rule, row.opened_at, row.resolved_at) == (alert.id, "backup_failed", alert.opened_at, None)
    ended = AlertResolved(at=NOW + timedelta(hours=1), origin="test", alert_id=alert.id, key=alert.key, reason="good")
    await database.write(partial(log.append, appends=[Append((ended,))]))
    [row] = (await database.read(partial(history.list_alerts, rule="backup_failed"))).alerts
    assert (row.resolved_at, row.reason) == (NOW + timedelta(hours=1), "good")
    assert (await database.read(partial(history.list_alerts, rule="host_offline"))).alerts == ()


async def test_the_alerts_of_a_removed_host_are_over(database: Database) -> None:
    mine, other = an_alert(source=HOME), an_alert(source=ETC)
    facts = (
        AlertOpened(**_AT, alert=mine),
        AlertOpened(**_AT, alert=other),
        HostRemoved(**_AT, host_id=HOME.host_id),
    )
    await database.write(partial(log.append, appends=[Append(facts)]))
    rows = {row.id: row for row in (await database.read(history.list_alerts)).alerts}
    assert rows[mine.id].resolved_at == NOW
    assert rows[mine.id].reason == "the host was removed"
    assert rows[other.id].resolved_at is None


async def test_what_is_too_old_goes_in_small_parts_and_takes_its_log_with_it(database: Database) -> None:
    old = [a_run(HOME, NOW - timedelta(days=400, minutes=n), id=f"old-{n}") for n in range(5)]
    young = a_run(HOME, NOW, id="young")
    await tell_runs(database, *old, young, text="said")
    lost = a_run_start(HOME, NOW - timedelta(days=500), id="lost")
    alert = an_alert(source=HOME, opened_at=NOW - timedelta(days=500))
    facts = (RunStarted(**_AT, run=lost), AlertOpened(**_AT, alert=alert))
    long_ago = {"at": NOW - timedelta(days=399), "origin": "test"}
    resolved = AlertResolved(**long_ago, alert_id=alert.id, key=alert.key, reason="good")
    await database.write(partial(log.append, appends=[Append(facts), Append((resolved,), Mark("request:old", 1))]))
    still_open = AlertOpened(**_AT, alert=an_alert("host_offline", source=HOME, opened_at=NOW - timedelta(days=500)))
    await database.write(partial(log.append, appends=[Append((still_open,), Mark("agent:h:s", 1))]))
    await database.write(partial(history.save_ledger, rows=[LedgerRow("s", long_ago["at"], NOW, Moment.GOOD)]))

    limit = NOW - timedelta(days=365)
    keep = KeepFrom(runs=limit, ledger=limit, alerts=limit, requests=limit)
    steps = []
    while gone := await database.write(partial(history.trim, keep=keep, limit=2)):
        steps.append(gone)
    assert sum(steps) == 5 + 1 + 1 + 1 + 1
    assert len(steps) == 3

    def left(connection: Connection) -> tuple[list[str], list[str], list[str], int]:
        named = [
            list(connection.execute(select(c)).scalars()) for c in (runs.c.id, run_logs.c.run_id, marks.c.stream)
        ]
        return (*named, len(history.list_alerts(connection).alerts))  # type: ignore[return-value]

    assert await database.read(left) == (["young"], ["young"], ["agent:h:s"], 1)
    assert await database.read(lambda c: c.execute(select(func.count()).select_from(runs)).scalar_one()) == 1


@pytest.mark.parametrize("presumed", [Outcome.LOST, Outcome.CANCELLED])
async def test_an_end_that_the_hub_presumed_is_corrected_by_the_agents_word_and_by_nothing_else(
    database: Database, presumed: Outcome
) -> None:
    lost = replace(a_run(outcome=presumed), id="r", reason="nobody saw it")
    good = replace(a_run(ended_at=NOW - timedelta(hours=1)), id="r", reason=None)
    stranger = replace(good, host_id=a_host("db-1").id)

    async def end(seq: int, run: Run, text: str) -> tuple[Run, str]:
        told = Told()
        told.add(seq, RunFinished(at=NOW, origin="test", run=run), text)
        await database.write(told.save)
        found = await database.read(lambda connection: history.find_run(connection, "r"))
        assert found is not None
        assert isinstance(found[0], Run)
        return found[0], found[1]

    assert await end(1, lost, "") == (lost, "")
    assert (await end(2, stranger, "mine"))[0] == lost
    assert await end(3, good, "the true log") == (good, "the true log")
    assert await end(4, lost, "") == (good, "the true log")
