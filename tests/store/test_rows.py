"""A fleet comes back from its rows as it was, and takes no more memory than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from sqlalchemy import Connection, create_engine, delete, select, update

from lastgood.errors import StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Changes, Unlearnable, learn
from lastgood.model.fact import AgentReported, Fact, HostRemoved, RunFinished, SourceConfigured
from lastgood.model.host import AgentInfo
from lastgood.model.job import Outcome
from lastgood.store import rows
from lastgood.store.database import Database
from lastgood.store.schema import metadata, state_rows
from tests.builders import NOW, a_run, a_run_start, an_alert
from tests.facts import BEGINNING, HOSTS, SOURCES, fold, knowledge, stories

_AT: dict[str, Any] = {"at": NOW, "origin": "test"}


def save(connection: Connection, values: dict[rows.Key, Any], upto: int) -> None:
    keep, gone = rows.encode_rows(values)
    rows.save_rows(connection, keep, gone, upto)


def learn_and_save(connection: Connection, facts: Sequence[Fact], every: int) -> Fleet:
    """Learn the facts, writing what they touched after each so many."""
    fleet = Fleet()
    noted: dict[rows.Key, Any] = {}
    for number, told in enumerate(facts, 1):
        try:
            changes = learn(fleet, told)
        except Unlearnable:
            continue
        noted.update(rows.rows_of(fleet, changes, type(told)))
        if number % every == 0:
            save(connection, noted, number)
            noted = {}
    save(connection, {**noted, **rows.totals_of(fleet)}, len(facts))
    return fleet


@given(stories())
@settings(deadline=None)
def test_rows_of_what_facts_touched_make_the_same_fleet(facts: list[Fact]) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        fleet = learn_and_save(connection, facts, every=7)
        again, folded_upto = rows.load(connection)
    engine.dispose()
    assert knowledge(again) == knowledge(fleet)
    assert folded_upto == len(facts)


async def loaded(database: Database, facts: Sequence[Fact]) -> Fleet:
    await database.write(partial(learn_and_save, facts=facts, every=1_000))
    fleet, _ = await database.read(rows.load)
    return fleet


async def test_a_fresh_database_is_an_empty_fleet(database: Database) -> None:
    fleet, folded_upto = await database.read(rows.load)
    assert knowledge(fleet) == knowledge(Fleet())
    assert folded_upto == 0


async def test_the_last_good_run_that_is_the_last_attempt_is_in_memory_once(database: Database) -> None:
    fleet = await loaded(database, [*BEGINNING, RunFinished(**_AT, run=a_run(SOURCES[0]))])
    evidence = fleet.evidence[SOURCES[0].id]
    assert evidence.last_full is not None
    assert evidence.last_full is evidence.last_attempt
    assert fleet.last_backups[HOSTS[0].id] is evidence.last_attempt


async def test_a_partial_attempt_stays_beside_the_last_full_one(database: Database) -> None:
    good = a_run(SOURCES[0], NOW)
    partial_run = a_run(SOURCES[0], NOW.replace(hour=20), Outcome.PARTIAL)
    fleet = await loaded(database, [*BEGINNING, *(RunFinished(**_AT, run=run) for run in (good, partial_run))])
    evidence = fleet.evidence[SOURCES[0].id]
    assert evidence.last_full == good
    assert evidence.last_partial is evidence.last_attempt
    assert evidence.last_attempt == partial_run


async def test_ids_are_in_memory_once(database: Database) -> None:
    fleet = await loaded(database, [*BEGINNING, RunFinished(**_AT, run=a_run(SOURCES[0]))])
    source, host = fleet.sources[SOURCES[0].id], fleet.hosts[HOSTS[0].id]
    run = fleet.evidence[source.id].last_attempt
    assert run is not None
    assert source.host_id is host.id
    assert (run.host_id, run.source_id) == (host.id, source.id)
    assert run.host_id is host.id
    assert run.source_id is source.id
    assert fleet.sources[SOURCES[0].id].schedule is fleet.sources[SOURCES[2].id].schedule


async def test_moments_and_words_that_many_have_in_common_are_in_memory_once(database: Database) -> None:
    info = AgentInfo(agent_version="1.2.3", restic_version="0.18.0", os="linux", arch="riscv64", protocol=1)
    reported = [AgentReported(**_AT, host_id=host.id, info=info) for host in HOSTS[:2]]
    fleet = await loaded(database, [*BEGINNING, *reported])
    one, other = fleet.evidence[SOURCES[0].id], fleet.evidence[SOURCES[2].id]
    assert one.due_at == other.due_at is not None
    assert one.due_at is other.due_at
    assert one.ledger_deadline_at is other.ledger_deadline_at
    infos = [fleet.hosts[host.id].info for host in HOSTS[:2]]
    assert infos == [info, info]
    assert infos[0] is not None
    assert infos[1] is not None
    assert infos[0].arch is infos[1].arch


async def test_what_is_gone_leaves_no_row(database: Database) -> None:
    facts = [*BEGINNING, *(HostRemoved(**_AT, host_id=host.id) for host in HOSTS)]
    fleet = await loaded(database, facts)
    assert fleet.sources == fleet.evidence == fleet.hosts == {}
    kinds = await database.read(lambda connection: set(connection.execute(select(state_rows.c.kind)).scalars()))
    assert kinds == {"repository", "repository_evidence", "durations", "counters"} & kinds


async def test_alerts_and_runs_under_way_come_back(database: Database) -> None:
    alert, start = an_alert(source=SOURCES[0], message="dépôt \udcff"), a_run_start(SOURCES[0])
    fleet = fold(BEGINNING)
    fleet.alerts[alert.key] = alert
    fleet.running[start.id] = start
    changes = Changes(alerts={alert.key}, runs={start.id})
    await database.write(lambda connection: save(connection, rows.rows_of(fleet, changes), 1))
    again, _ = await database.read(rows.load)
    assert again.alerts == {alert.key: alert}
    assert again.running == {start.id: start}


async def test_a_renamed_source_replaces_its_row(database: Database) -> None:
    renamed = replace(SOURCES[0], name="house")
    fleet = await loaded(database, [*BEGINNING, SourceConfigured(**_AT, source=renamed)])
    assert fleet.sources[SOURCES[0].id] == renamed


@pytest.mark.parametrize(
    ("values", "said"),
    [({"version": 99}, "version 99, which this program cannot read"), ({"body": "{"}, "cannot be read")],
)
async def test_a_row_that_cannot_be_read_stops_the_start_by_name(
    database: Database, values: dict[str, Any], said: str
) -> None:
    await loaded(database, BEGINNING)
    which = (state_rows.c.kind == "source") & (state_rows.c.id == SOURCES[0].id)
    await database.write(
        lambda connection: connection.execute(update(state_rows).where(which).values(**values)).close()
    )
    with pytest.raises(StoreError, match=f"source {SOURCES[0].id}.*{said}"):
        await database.read(rows.load)


async def test_evidence_of_a_source_that_is_not_there_does_not_stop_a_start(database: Database) -> None:
    await loaded(database, BEGINNING)
    await database.write(lambda c: c.execute(delete(state_rows).where(state_rows.c.kind == "source")).close())
    fleet, _ = await database.read(rows.load)
    assert fleet.sources == {}
    assert SOURCES[0].id in fleet.evidence
