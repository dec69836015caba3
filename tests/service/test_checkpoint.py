"""State rows and the tail of the log make the fleet that the facts made, whenever the rows were written."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from lastgood.errors import ConfigError, StoreError
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.model.fact import Fact, HostEnrolled, HostRemoved, MomentsPassed, RunFinished
from lastgood.model.source import DueMoment
from lastgood.service import checkpoint as checkpoints
from lastgood.service.checkpoint import Checkpoint, restore
from lastgood.service.ingest import Ingest
from lastgood.store import history, log
from lastgood.store.database import Database, open_database
from lastgood.store.log import Append
from lastgood.store.schema import fact_log, state_rows
from tests.builders import NOW, a_host, a_run
from tests.facts import BEGINNING, SOURCES, fold, knowledge, stories
from tests.waiting import until

_AT: dict[str, Any] = {"at": NOW, "origin": "test"}


@dataclass
class Hub:
    database: Database
    fleet: Fleet
    checkpoint: Checkpoint
    ingest: Ingest

    @classmethod
    async def open(cls, folder: Path) -> Hub:
        database = open_database(folder)
        fleet, checkpoint = await restore(database)
        ingest = Ingest(database, fleet, checkpoint, _ignore)
        await ingest.start()
        return cls(database, fleet, checkpoint, ingest)

    async def tell(self, *facts: Fact) -> None:
        await self.ingest.take(Append(facts))

    async def close(self) -> None:
        """As a crash leaves it: nothing is saved that was not saved before."""
        await self.ingest.stop()
        await self.database.close()


def _ignore(_changes: Changes, _at: datetime) -> None:
    """No face listens."""


async def count_logged(database: Database) -> int:
    return len(await database.read(partial(log.tail, after=0)))


async def told_in_parts(folder: Path, parts: Sequence[Sequence[Fact]]) -> Fleet:
    """Tell the parts to a hub that saves after each but the last, crashes and starts again in between."""
    for number, facts in enumerate(parts, 1):
        hub = await Hub.open(folder)
        if facts:
            await hub.tell(*facts)
        if number < len(parts):
            await hub.checkpoint.save()
        await hub.close()
    hub = await Hub.open(folder)
    await hub.close()
    return hub.fleet


@given(stories(), st.lists(st.integers(0, 45), max_size=3))
@settings(max_examples=40, deadline=None)
def test_rows_and_tail_make_the_fleet_that_all_facts_make(facts: list[Fact], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(facts)]
    parts = [facts[start:end] for start, end in pairwise(edges)]
    with tempfile.TemporaryDirectory() as folder:
        fleet = asyncio.run(told_in_parts(Path(folder), parts))
    assert knowledge(fleet) == knowledge(fold(facts))


async def test_a_checkpoint_trims_the_log_and_the_next_start_is_the_same(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING)
    assert await count_logged(hub.database) == len(BEGINNING)
    assert await hub.checkpoint.save()
    assert not await hub.checkpoint.save()
    assert await count_logged(hub.database) == 0
    assert hub.checkpoint.folded_upto == len(BEGINNING)
    await hub.tell(RunFinished(**_AT, run=a_run(SOURCES[0])))
    await hub.close()
    again = await Hub.open(tmp_path)
    assert knowledge(again.fleet) == knowledge(hub.fleet)
    assert again.checkpoint.learned_upto == len(BEGINNING) + 1
    assert again.checkpoint.folded_upto == len(BEGINNING)
    await again.close()


async def test_what_is_told_while_a_checkpoint_is_written_is_left_for_the_next(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING)
    saving = asyncio.create_task(hub.checkpoint.save())
    runs = [RunFinished(**_AT, run=a_run(SOURCES[0], NOW.replace(minute=n))) for n in range(30)]
    await asyncio.gather(saving, *(hub.tell(told) for told in runs))
    await hub.checkpoint.save()
    assert await count_logged(hub.database) == 0
    await hub.close()
    again = await Hub.open(tmp_path)
    assert knowledge(again.fleet) == knowledge(fold([*BEGINNING, *runs]))
    await again.close()


async def test_a_checkpoint_that_fails_is_made_good_by_the_next(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING)

    def limit(connection: Connection, pages: int | None = None) -> None:
        now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages or now}")

    many = [RunFinished(**_AT, run=a_run(SOURCES[0], NOW.replace(minute=n), reason="x" * 5_000)) for n in range(20)]
    await hub.tell(*many, HostRemoved(**_AT, host_id="nobody"))
    await hub.database.write(limit)
    with pytest.raises(StoreError, match="full"):
        await hub.checkpoint.save()
    assert hub.checkpoint.failures == 1
    assert await count_logged(hub.database) == len(BEGINNING) + 21
    await hub.database.write(partial(limit, pages=1_000_000))
    assert await hub.checkpoint.save()
    assert await count_logged(hub.database) == 0
    assert await hub.database.read(log.count_quarantined) == 1
    await hub.close()
    again = await Hub.open(tmp_path)
    assert knowledge(again.fleet) == knowledge(fold([*BEGINNING, *many]))
    await again.close()


async def test_a_checkpoint_cut_off_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING, HostRemoved(**_AT, host_id="nobody"))
    for turns in range(6):  # in the middle of encoding, of waiting for the writer, of the commit
        await hub.tell(RunFinished(**_AT, run=a_run(SOURCES[0], NOW.replace(minute=turns))))
        saving = asyncio.create_task(hub.checkpoint.save())
        for _ in range(turns):
            await asyncio.sleep(0)
        saving.cancel()
        await asyncio.wait([saving])
    await hub.checkpoint.save()
    assert await count_logged(hub.database) == 0
    assert await hub.database.read(log.count_quarantined) == 1
    await hub.close()
    again = await Hub.open(tmp_path)
    assert knowledge(again.fleet) == knowledge(hub.fleet)
    await again.close()


async def test_a_fact_in_quarantine_is_met_again_after_a_crash_and_kept_once(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(HostRemoved(**_AT, host_id="nobody"), *BEGINNING)
    await hub.close()
    for _ in range(2):
        again = await Hub.open(tmp_path)
        assert knowledge(again.fleet) == knowledge(fold(BEGINNING))
        await again.checkpoint.save()
        assert await again.database.read(log.count_quarantined) == 1
        await again.close()


async def test_a_fact_that_nobody_can_read_goes_to_quarantine_at_the_start(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING, RunFinished(**_AT, run=a_run(SOURCES[0])))
    spoil = update(fact_log).where(fact_log.c.kind == "RunFinished").values(kind="TapeEaten")
    await hub.database.write(lambda connection: connection.execute(spoil).close())
    await hub.close()
    again = await Hub.open(tmp_path)
    assert knowledge(again.fleet) == knowledge(fold(BEGINNING))
    await again.checkpoint.save()
    assert await again.database.read(log.count_quarantined) == 1
    await again.tell(RunFinished(**_AT, run=a_run(SOURCES[1])))
    assert again.fleet.evidence[SOURCES[1].id].last_attempt == a_run(SOURCES[1])
    await again.close()


async def test_rows_that_cannot_be_read_stop_the_start_with_a_sentence(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING)
    await hub.checkpoint.save()
    spoil = update(state_rows).where(state_rows.c.kind == "host").values(version=99)
    await hub.database.write(lambda connection: connection.execute(spoil).close())
    await hub.close()
    database = open_database(tmp_path)
    with pytest.raises(ConfigError, match="version 99"):
        await restore(database)
    await database.close()


async def test_closed_moments_come_into_the_ledger(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING)
    source = SOURCES[0]
    due_at = hub.fleet.evidence[source.id].ledger_at
    deadline_at = hub.fleet.evidence[source.id].ledger_deadline_at
    assert due_at is not None
    assert deadline_at is not None
    passed = DueMoment(source_id=source.id, due_at=due_at, deadline_at=deadline_at, looked=True)
    await hub.tell(MomentsPassed(**_AT, moments=(passed,)))
    await hub.checkpoint.save()
    [row] = await hub.database.read(partial(history.list_ledger, source_id=source.id))
    assert (row.due_at, row.deadline_at) == (due_at, deadline_at)
    await hub.close()


async def test_many_facts_are_written_without_waiting_for_the_clock(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    rounds = asyncio.create_task(hub.checkpoint.run())
    await hub.tell(*BEGINNING)
    runs = [RunFinished(**_AT, run=a_run(SOURCES[0], NOW.replace(microsecond=n % 999_999))) for n in range(2_000)]
    for _ in range(checkpoints.EVERY_FACTS // len(runs) + 1):
        await hub.tell(*runs)

    async def saved() -> bool:
        return hub.checkpoint.saves > 0

    await until(saved, "a checkpoint", checkpoints.EVERY_SECONDS)
    assert hub.checkpoint.folded_upto > 0
    rounds.cancel()
    await asyncio.wait([rounds])
    await hub.close()


async def test_a_checkpoint_cut_off_after_its_commit_loses_nothing_that_was_noted_since(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    await hub.tell(*BEGINNING)
    saving = asyncio.create_task(hub.checkpoint.save())
    while not hub.checkpoint.saves:
        await asyncio.sleep(0)
    saving.cancel()
    await hub.tell(RunFinished(**_AT, run=a_run(SOURCES[0])))
    await asyncio.gather(saving, return_exceptions=True)
    assert await hub.checkpoint.save()
    await hub.close()
    again = await Hub.open(tmp_path)
    assert knowledge(again.fleet) == knowledge(hub.fleet)
    assert again.checkpoint.folded_upto == len(BEGINNING) + 1
    await again.close()


async def test_a_checkpoint_of_more_rows_than_are_written_at_once_keeps_them_all(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path)
    hosts = [a_host(f"host-{number}") for number in range(2 * checkpoints.ROWS_A_STATEMENT + 1)]
    await hub.tell(*(HostEnrolled(**_AT, host=host) for host in hosts))
    await hub.checkpoint.save()
    assert await count_logged(hub.database) == 0
    await hub.close()
    again = await Hub.open(tmp_path)
    assert list(again.fleet.hosts.values()) == sorted(hosts, key=lambda host: host.id)
    await again.close()
