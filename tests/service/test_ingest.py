"""Promise 1: append, commit, learn, acknowledge, in this order and no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from lastgood.errors import StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Changes
from lastgood.model.fact import Fact, HostEnrolled, HostRemoved, HostRenamed, RunFinished
from lastgood.service.checkpoint import Checkpoint, restore
from lastgood.service.ingest import QUEUE_BYTES, Ingest
from lastgood.store import log
from lastgood.store.database import Database, open_database
from lastgood.store.log import Append, Mark
from tests.builders import NOW, a_host, a_run
from tests.facts import BEGINNING, SOURCES, fold, knowledge
from tests.waiting import until

_AT: dict[str, Any] = {"at": NOW, "origin": "test"}
BIG = "x" * 200_000


@dataclass
class Heart:
    """Store, fleet and ingest as a hub has them; ``seen`` is what faces were told."""

    database: Database
    fleet: Fleet
    checkpoint: Checkpoint
    seen: list[tuple[Changes, datetime]] = field(default_factory=list)
    broken: bool = False

    def __post_init__(self) -> None:
        self.ingest = Ingest(self.database, self.fleet, self.checkpoint, self._changed)

    def _changed(self, changes: Changes, at: datetime) -> None:
        if self.broken:
            raise RuntimeError("a face has broken")
        self.seen.append((changes, at))

    async def tell(self, *facts: Fact, mark: Mark | None = None, text: str = "") -> bool:
        [new] = await self.ingest.take(Append(facts, mark, text))
        return new

    async def logged(self) -> list[Any]:
        return [told for _, told in await self.database.read(partial(log.tail, after=0))]


@pytest.fixture
async def heart(tmp_path: Path) -> AsyncIterator[Heart]:
    database = open_database(tmp_path)
    made = Heart(database, *await restore(database))
    await made.ingest.start()
    yield made
    if not made.broken:
        await made.ingest.stop()
    await database.close()


async def fill(database: Database) -> None:
    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await database.write(limit)


async def make_room(database: Database) -> None:
    await database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1073741823").close())


def finished(number: int) -> Fact:
    return RunFinished(**_AT, run=a_run(SOURCES[0], NOW + timedelta(days=number)))


async def test_what_was_acknowledged_is_on_disk_learned_and_told(heart: Heart) -> None:
    assert await heart.tell(*BEGINNING)
    assert await heart.logged() == list(BEGINNING)
    assert knowledge(heart.fleet) == knowledge(fold(BEGINNING))
    assert [at for _, at in heart.seen] == [NOW] * len(BEGINNING)
    assert heart.ingest.counts.facts == len(BEGINNING)


async def test_facts_of_many_tellers_are_learned_in_the_order_of_the_log(heart: Heart) -> None:
    await heart.tell(*BEGINNING)
    heart.seen.clear()
    names = [f"name-{n:03}" for n in range(300)]
    host_id = SOURCES[0].host_id
    tellings = (heart.tell(HostRenamed(**_AT, host_id=host_id, name=name)) for name in names)
    assert all(await asyncio.gather(*tellings))
    logged = [told for told in await heart.logged() if isinstance(told, HostRenamed)]
    assert [told.name for told in logged] == names
    assert heart.fleet.hosts[host_id].name == names[-1]
    assert len(heart.seen) == 300
    assert heart.ingest.counts.commits <= 4


async def test_a_telling_repeated_is_acknowledged_and_counted_once(heart: Heart) -> None:
    await heart.tell(*BEGINNING)
    mark = Mark("agent:h:s", 1)
    assert await heart.tell(finished(0), mark=mark)
    assert not await heart.tell(finished(0), mark=mark)
    assert sum(map(sum, heart.fleet.durations.buckets.values())) == 1
    assert heart.ingest.counts.duplicates == 1


async def test_a_full_disk_acknowledges_nothing_and_heals(heart: Heart) -> None:
    await heart.tell(*BEGINNING)
    before = knowledge(fold(BEGINNING))
    await fill(heart.database)
    tellings = [heart.tell(finished(n), mark=Mark("s", n, n - 1), text=BIG) for n in range(1, 6)]
    outcomes = await asyncio.gather(*tellings, return_exceptions=True)
    assert all(isinstance(outcome, StoreError) for outcome in outcomes)
    assert knowledge(heart.fleet) == before
    assert len(await heart.logged()) == len(BEGINNING)
    assert heart.ingest.counts.refused == 5

    await make_room(heart.database)
    for number in range(1, 6):
        assert await heart.tell(finished(number), mark=Mark("s", number, number - 1), text=BIG)
    assert len(await heart.logged()) == len(BEGINNING) + 5


async def test_nothing_is_kept_behind_a_report_that_was_refused(heart: Heart) -> None:
    await heart.tell(*BEGINNING)
    await heart.tell(finished(1), mark=Mark("s", 1, 0))
    await fill(heart.database)
    with pytest.raises(StoreError, match="full"):
        await heart.tell(finished(2), mark=Mark("s", 2, 1), text=BIG)
    await make_room(heart.database)
    with pytest.raises(StoreError, match="tell everything from there again"):
        await heart.tell(finished(3), mark=Mark("s", 3, 2))
    assert await heart.database.read(partial(log.marks_of, stream="s")) == 1
    assert await heart.tell(finished(2), mark=Mark("s", 2, 1), text=BIG)
    assert await heart.tell(finished(3), mark=Mark("s", 3, 2))


async def test_a_fact_that_cannot_be_learned_goes_to_quarantine_and_stops_nothing(heart: Heart) -> None:
    unknown = HostRemoved(**_AT, host_id="nobody")
    assert await heart.tell(unknown, *BEGINNING)
    assert knowledge(heart.fleet) == knowledge(fold(BEGINNING))
    assert heart.ingest.counts.quarantined == 1
    await heart.checkpoint.save()
    assert await heart.database.read(log.count_quarantined) == 1
    assert await heart.logged() == []


async def test_a_fact_that_cannot_be_written_down_is_set_aside_and_acknowledged(heart: Heart) -> None:
    await heart.tell(*BEGINNING)
    bad = RunFinished(**_AT, run=replace(a_run(SOURCES[0]), duration_seconds=float("inf")))
    good = finished(1)
    new = await asyncio.gather(heart.tell(bad, mark=Mark("s", 1, 0)), heart.tell(good, mark=Mark("s", 2, 1)))
    assert new == [False, True]
    assert await heart.database.read(log.count_quarantined) == 1
    assert heart.ingest.counts.quarantined == 1


async def test_nobody_suffers_from_a_number_that_no_database_can_hold(heart: Heart) -> None:
    await heart.tell(*BEGINNING)
    tellings = [
        heart.tell(finished(1), mark=Mark("a", 1, 0)),
        heart.tell(finished(2), mark=Mark("b", 2**70)),
        heart.tell(finished(3), mark=Mark("c", 1, 0)),
    ]
    outcomes = await asyncio.gather(*tellings, return_exceptions=True)
    assert outcomes[0] is True
    assert outcomes[2] is True
    assert isinstance(outcomes[1], StoreError)
    assert not outcomes[1].retry
    kept = fold([*BEGINNING, finished(1), finished(3)])
    assert knowledge(heart.fleet) == knowledge(kept)


async def test_appends_told_together_are_answered_each(heart: Heart) -> None:
    first = Append(BEGINNING, Mark("request:1", 1))
    again = Append((HostEnrolled(**_AT, host=a_host("late")),), Mark("request:1", 1))
    assert await heart.ingest.take(first, again) == (True, False)


async def test_a_large_telling_lets_others_run_between(heart: Heart) -> None:
    await heart.tell(*BEGINNING)
    turns = 0
    done = asyncio.create_task(heart.tell(*(finished(n) for n in range(3_000))))
    while not done.done():
        turns += 1
        await asyncio.sleep(0)
    assert await done
    learned_at_a_time = 3_000 / turns
    assert learned_at_a_time < 1_500


async def test_stopping_finishes_what_was_begun_and_refuses_what_comes_later(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    heart = Heart(database, *await restore(database))
    with pytest.raises(StoreError, match="starting or stopping"):
        await heart.tell(*BEGINNING)
    await heart.ingest.start()
    telling = [asyncio.create_task(heart.tell(*BEGINNING)), asyncio.create_task(heart.tell(finished(1)))]
    await asyncio.sleep(0)
    await heart.ingest.stop()
    assert await asyncio.gather(*telling) == [True, True]
    with pytest.raises(StoreError, match="starting or stopping"):
        await heart.tell(finished(2))
    await database.close()


async def test_a_face_that_breaks_leaves_nobody_waiting(heart: Heart) -> None:
    heart.broken = True
    tellings = [asyncio.create_task(heart.tell(*BEGINNING)), asyncio.create_task(heart.tell(finished(1)))]
    outcomes = await asyncio.gather(*tellings, return_exceptions=True)
    assert all(isinstance(outcome, StoreError) for outcome in outcomes)
    with pytest.raises(StoreError):
        await heart.tell(finished(2))
    with pytest.raises(RuntimeError, match="a face has broken"):
        await heart.ingest.stop()


async def test_what_waits_is_bounded_by_its_bytes_as_well_as_by_its_number(heart: Heart) -> None:
    log_ = "x" * (1024 * 1024)
    held = threading.Event()

    def hold(_rows: Connection) -> None:
        assert held.wait(20)

    holding = asyncio.create_task(heart.database.write(hold))
    tellers = [
        asyncio.create_task(heart.tell(RunFinished(**_AT, run=replace(a_run(), id=f"run-{number}")), text=log_))
        for number in range(100)
    ]

    async def full() -> bool:
        return heart.ingest.queued_bytes >= QUEUE_BYTES

    await until(full, "as much waits as may wait")
    for _ in range(200):
        await asyncio.sleep(0)
    assert heart.ingest.queued_bytes < QUEUE_BYTES + 2 * len(log_)
    held.set()
    await asyncio.gather(holding, *tellers)
    assert (heart.ingest.queued, heart.ingest.queued_bytes) == (0, 0)
