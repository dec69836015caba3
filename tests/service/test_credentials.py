"""What the hub holds for repositories: sealed, whole whatever is interrupted, and undone by nobody's other change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lastgood.auth.secrets import Sealer, subkey
from lastgood.errors import ConfigError, StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.fact import AlertOpened, Fact, HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.model.repository import Repository, Slot
from lastgood.service.credentials import PURPOSE, Credentials
from lastgood.store import records
from lastgood.store.database import Database, open_database
from lastgood.wire.frames import Held
from tests.builders import NOW, a_host, a_repository, a_source, an_alert

KEY = b"k" * 32
HELD = Held(password="canary-one", environment={"B2_ACCOUNT_KEY": "canary-two", "B2_ACCOUNT_ID": "id"})
ADMIN = Held(password="canary-three")


class Desk:
    """Credentials over a real store; ``take`` learns, or refuses, or waits, as the test says."""

    def __init__(self, database: Database, fleet: Fleet) -> None:
        self.database = database
        self.fleet = fleet
        self.refuse = False
        self.took: list[Fact] = []
        self.open = asyncio.Event()
        self.open.set()
        self.numbers = 0
        self.credentials = Credentials(database, fleet, KEY, self.take)

    async def take(self, facts: Sequence[Fact], request_id: str) -> None:
        await self.open.wait()
        if self.refuse:
            raise StoreError("The disk is full.")
        self.took += facts
        for fact in facts:
            learn(self.fleet, fact)

    def said(self) -> dict[str, str]:
        self.numbers += 1
        return {"origin": "person:ann", "request_id": str(self.numbers)}

    async def hold(self, repository_id: str, slot: Slot, held: Held | None) -> None:
        await self.credentials.hold(repository_id, slot, held, by="ann", at=NOW, **self.said())

    async def rows(self) -> list[str]:
        return sorted(await self.database.read(lambda connection: list(records.list_secrets(connection))))

    async def restarted(self) -> Desk:
        desk = Desk(self.database, self.fleet)
        await desk.credentials.load()
        return desk

    def known(self, repository: Repository) -> Repository:
        return self.fleet.repositories[repository.id]


@asynccontextmanager
async def a_desk(folder: Path) -> AsyncIterator[Desk]:
    database = open_database(folder)
    try:
        yield Desk(database, Fleet())
    finally:
        await database.close()


async def test_what_is_held_survives_a_restart_and_is_told_without_itself(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        vault = a_repository()
        await desk.credentials.add(vault, HELD, by="ann", **desk.said())
        await desk.hold(vault.id, Slot.ADMIN, ADMIN)
        desk = await desk.restarted()
        known = desk.known(vault)
        assert known.held == (Slot.ADMIN, Slot.EVERYDAY)
        assert desk.credentials.access(known, Slot.EVERYDAY) == HELD
        assert desk.credentials.access(known, Slot.ADMIN) == ADMIN
        told = desk.credentials.told(known)
        assert [(one.slot, one.variables, one.set_by) for one in told] == [
            (Slot.ADMIN, (), "ann"),
            (Slot.EVERYDAY, ("B2_ACCOUNT_ID", "B2_ACCOUNT_KEY"), "ann"),
        ]
        assert "canary" not in repr(told)
        assert len(await desk.rows()) == 1
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes(), file


async def test_a_change_that_could_not_be_taken_leaves_what_was_held(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        vault = a_repository()
        await desk.credentials.add(vault, HELD, by="ann", **desk.said())
        before = await desk.rows()
        desk.refuse = True
        with pytest.raises(StoreError):
            await desk.hold(vault.id, Slot.EVERYDAY, ADMIN)
        assert desk.credentials.access(desk.known(vault), Slot.EVERYDAY) == HELD
        assert await desk.rows() == before


async def test_a_change_that_is_cut_off_loses_neither_the_old_nor_the_new(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        vault = a_repository()
        await desk.credentials.add(vault, HELD, by="ann", **desk.said())
        desk.open.clear()
        change = asyncio.create_task(desk.hold(vault.id, Slot.EVERYDAY, ADMIN))
        async with asyncio.timeout(10):
            while len(await desk.rows()) < 2:
                await asyncio.sleep(0)
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change
        assert len(await desk.rows()) == 2  # the fact may have been committed: nobody knows before the next start
        desk = await desk.restarted()
        assert desk.credentials.access(desk.known(vault), Slot.EVERYDAY) == HELD
        assert len(await desk.rows()) == 1


async def test_changes_at_once_undo_none_of_each_other(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        vault = a_repository(password_file="/p")
        await desk.credentials.add(vault, None, by="ann", **desk.said())
        await asyncio.gather(
            desk.hold(vault.id, Slot.EVERYDAY, HELD),
            desk.credentials.change(vault.id, lambda before: replace(before, name="new"), at=NOW, **desk.said()),
            desk.hold(vault.id, Slot.ADMIN, ADMIN),
        )
        known = desk.known(vault)
        assert known.name == "new"
        assert desk.credentials.access(known, Slot.EVERYDAY) == HELD
        assert desk.credentials.access(known, Slot.ADMIN) == ADMIN
        # Whoever read the repository before a change does not bring back what it held then.
        await desk.credentials.change(
            vault.id, lambda before: replace(before, held=(), held_revision=None, name="newer"), at=NOW, **desk.said()
        )
        assert desk.known(vault).held == (Slot.ADMIN, Slot.EVERYDAY)


async def test_the_last_password_is_not_lost_to_two_changes_that_each_leave_the_other_one(tmp_path: Path) -> None:
    def has_another(before: Repository) -> None:
        if before.password_file is None:
            raise ConfigError("Nothing else opens it.")

    async with a_desk(tmp_path) as desk:
        vault = a_repository(password_file="/p")
        await desk.credentials.add(vault, HELD, by="ann", **desk.said())
        desk.open.clear()
        change = desk.credentials.change(
            vault.id, lambda before: replace(before, password_file=None), at=NOW, **desk.said()
        )
        changing = asyncio.create_task(change)
        emptying = asyncio.create_task(
            desk.credentials.hold(vault.id, Slot.EVERYDAY, None, by="ann", at=NOW, **desk.said(), check=has_another)
        )
        await asyncio.sleep(0)
        desk.open.set()
        await changing
        with pytest.raises(ConfigError, match="Nothing else"):
            await emptying
        assert desk.credentials.access(desk.known(vault), Slot.EVERYDAY) == HELD


async def test_an_emptied_slot_and_a_removed_repository_leave_no_row(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        vault, attic = a_repository(), a_repository("attic")
        for one in (vault, attic):
            await desk.credentials.add(one, HELD, by="ann", **desk.said())
        await desk.hold(vault.id, Slot.EVERYDAY, None)
        known = desk.known(vault)
        assert (known.held, known.held_revision) == ((), None)
        assert desk.credentials.access(known, Slot.EVERYDAY) is None
        await desk.credentials.remove(attic.id, at=NOW, **desk.said())
        assert attic.id not in desk.fleet.repositories
        assert await desk.rows() == []
        with pytest.raises(ConfigError, match="removed"):
            await desk.hold(attic.id, Slot.EVERYDAY, HELD)


async def test_what_is_open_about_a_removed_repository_is_resolved_before_it_goes(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        repository = a_repository()
        source = a_source(repository=repository, archived_by="ann")
        alert = an_alert(source=source)
        at = {"at": NOW, "origin": "test"}
        facts: list[Fact] = [
            HostEnrolled(**at, host=a_host()),
            RepositoryConfigured(**at, repository=repository),
            SourceConfigured(**at, source=source),
            AlertOpened(**at, alert=alert),
        ]
        await desk.take(facts, "beginning")
        desk.took.clear()
        await desk.credentials.remove(repository.id, at=NOW, **desk.said())
        assert [type(fact).__name__ for fact in desk.took] == ["AlertResolved", "RepositoryRemoved"]
        assert desk.fleet.alerts == {}


async def test_rows_of_others_are_left_alone_at_the_start(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.database.write(lambda rows: records.put_secret(rows, "hub.key", b"1"))
        await desk.database.write(lambda rows: records.put_secret(rows, "repository:none:none", b"2"))
        desk = await desk.restarted()
        assert await desk.rows() == ["hub.key"]


async def test_a_row_under_another_name_opens_nothing_and_is_mended_by_entering_it_again(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        vault, attic = a_repository(), a_repository("attic")
        for one in (vault, attic):
            await desk.credentials.add(one, HELD, by="ann", **desk.said())
        stolen = desk.known(vault)
        row = f"repository:{vault.id}:{stolen.held_revision}"
        sealed = await desk.database.read(lambda rows: records.get_secret(rows, row))
        assert sealed is not None
        assert b"canary-one" in Sealer(subkey(KEY, PURPOSE)).open(row, sealed)
        target = f"repository:{attic.id}:{desk.known(attic).held_revision}"
        await desk.database.write(lambda rows: records.put_secret(rows, target, sealed))
        desk = await desk.restarted()
        with capture_logs() as lines:
            assert desk.credentials.access(desk.known(attic), Slot.EVERYDAY) is None
            assert desk.credentials.told(desk.known(attic)) == ()
        (line,) = lines
        assert "does not open with this secret key file" in line["reason"]
        await desk.hold(attic.id, Slot.EVERYDAY, ADMIN)
        assert desk.credentials.access(desk.known(attic), Slot.EVERYDAY) == ADMIN
        assert desk.credentials.access(desk.known(vault), Slot.EVERYDAY) == HELD


async def test_agents_are_given_the_new_credentials_while_the_change_is_learned(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        vault = a_repository()
        given: list[Held | None] = []

        async def take(facts: Sequence[Fact], request_id: str) -> None:
            for fact in facts:
                learn(desk.fleet, fact)
                assert isinstance(fact, RepositoryConfigured)
                given.append(desk.credentials.access(desk.known(vault), Slot.EVERYDAY))

        desk.credentials = Credentials(desk.database, desk.fleet, KEY, take)
        await desk.credentials.add(vault, HELD, by="ann", **desk.said())
        await desk.hold(vault.id, Slot.EVERYDAY, ADMIN)
        assert given == [HELD, ADMIN]
