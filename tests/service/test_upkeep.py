"""The chores: who was heard is written down, once for each change, and forgotten with its host."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from lastgood.config.settings import RetentionSettings
from lastgood.fleet.fleet import Fleet
from lastgood.model.host import Presence
from lastgood.service import upkeep
from lastgood.service.upkeep import Upkeep
from lastgood.store import records
from lastgood.store.database import Database, open_database
from lastgood.store.lease import AlwaysHeld
from tests.builders import NOW, a_host, put_host


class Chores:
    """The chores of a fleet with a real database."""

    def __init__(self, folder: Path, hosts: int) -> None:
        self.fleet = Fleet()
        self.ids = [put_host(self.fleet, a_host(f"host-{number}")).id for number in range(hosts)]
        self.database: Database = open_database(folder)
        self.upkeep = Upkeep(self.database, self.fleet, RetentionSettings(), lambda: NOW, AlwaysHeld())

    def hear(self, host_id: str, seconds: int) -> None:
        at = NOW + timedelta(seconds=seconds)
        self.fleet.judging.presence[host_id] = Presence(connected=True, synced=True, seen_at=at, observed_at=at)

    async def written(self) -> dict[str, records.Seen]:
        return await self.database.read(records.load_presence)


async def test_everybody_who_was_heard_is_written_down_however_many_they_are(tmp_path: Path) -> None:
    chores = Chores(tmp_path, upkeep.ROWS_A_NOTE * 2 + 1)
    await chores.upkeep.note()
    assert await chores.written() == dict.fromkeys(chores.ids, (NOW, NOW))
    await chores.database.close()


async def test_only_who_was_heard_since_is_written_again(tmp_path: Path) -> None:
    chores = Chores(tmp_path, 3)
    await chores.upkeep.note()
    await chores.database.write(lambda connection: records.save_presence(connection, {chores.ids[0]: (None, None)}))
    chores.hear(chores.ids[1], 30)
    await chores.upkeep.note()
    later = NOW + timedelta(seconds=30)
    assert await chores.written() == {
        chores.ids[0]: (None, None),
        chores.ids[1]: (later, later),
        chores.ids[2]: (NOW, NOW),
    }
    await chores.database.close()


async def test_a_host_that_was_never_heard_has_no_row(tmp_path: Path) -> None:
    chores = Chores(tmp_path, 1)
    chores.fleet.judging.presence[chores.ids[0]] = Presence()
    await chores.upkeep.note()
    assert await chores.written() == {}
    await chores.database.close()


async def test_a_removed_host_is_forgotten(tmp_path: Path) -> None:
    chores = Chores(tmp_path, 2)
    await chores.upkeep.note()
    del chores.fleet.hosts[chores.ids[0]]
    del chores.fleet.judging.presence[chores.ids[0]]
    await chores.upkeep.note()
    assert list(await chores.written()) == [chores.ids[1]]
    await chores.database.close()
