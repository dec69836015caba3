"""The audit log over the life of a hub: how it begins, what it notices, what it keeps beside the key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, text, update
from structlog.testing import capture_logs

from lastgood.auth.chain import chain_keys, sign_head, sign_restore
from lastgood.auth.identity import mint_key_pair
from lastgood.auth.proof import prove
from lastgood.config.keyfile import load_key
from lastgood.config.settings import AuditSettings, ServerSettings, Settings
from lastgood.errors import StoreError
from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.series import OURS
from lastgood.model.audit import THE_HUB, Entry
from lastgood.service.audit import HEAD_FILE, Audit, head_files, read_head
from lastgood.service.audit_file import prove_file
from lastgood.service.deeds import Deeds
from lastgood.service.service import Service
from lastgood.store import audit as rows
from lastgood.store import records
from lastgood.store.aside import beside_the_hub
from lastgood.store.copying import Restored, note_restored
from lastgood.store.database import DATABASE_NAME, open_database
from lastgood.store.lease import AlwaysHeld
from lastgood.store.schema import audit_rows
from tests.builders import NOW, a_host, a_source, put_host, put_source

KEY = b"s" * 32
HUB = mint_key_pair(b"h" * 32)
CHANGE = Entry(action="host.write", who=THE_HUB)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def a_log(folder: Path, clock: Clock | None = None, *, days: int = 400) -> AsyncIterator[Audit]:
    """The log of a hub that has begun, and ends with the block."""
    database = open_database(folder)
    settings = Settings(server=ServerSettings(data_dir=folder), audit=AuditSettings(days=days))
    audit = Audit(database, KEY, HUB, clock or Clock(), settings, AlwaysHeld())
    try:
        await audit.start()
        yield audit
        await audit.stop()
    finally:
        await database.close()


def held(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Action and details of every row."""
    return [(row[2], json.loads(row[13])) for row in rows.stored_rows(folder / DATABASE_NAME)]


def head_of(folder: Path) -> Any:
    return read_head(folder / HEAD_FILE)


async def test_a_new_hub_begins_its_log_and_an_old_one_goes_on(tmp_path: Path) -> None:
    async with a_log(tmp_path) as audit:
        assert audit.moment is not None
        assert audit.moment.seq == 3
    async with a_log(tmp_path):
        pass
    told = [action for action, _ in held(tmp_path)]
    assert told == ["audit.begin", "hub.key_made", "hub.start", "hub.stop", "hub.start", "hub.stop"]
    assert head_of(tmp_path).seq == 6


async def test_counts_are_those_of_before_the_start_whatever_was_removed(tmp_path: Path) -> None:
    clock = Clock()
    async with a_log(tmp_path, clock) as audit:
        for _ in range(5):
            await audit.write(CHANGE)
        assert audit.totals["host.write"] == 5
        assert audit.totals["stack.deploy"] == 0, "an action that was never done is told as 0"
    clock.now += timedelta(days=401)
    async with a_log(tmp_path, clock) as audit:
        await audit.round()
        assert [action for action, _ in held(tmp_path)] == ["hub.start", "audit.trim"]
        assert (audit.totals["host.write"], audit.totals["hub.start"], audit.totals["audit.trim"]) == (5, 2, 1)


async def test_the_log_is_kept_for_as_many_days_as_the_setting_says(tmp_path: Path) -> None:
    clock = Clock()
    async with a_log(tmp_path, clock, days=10) as audit:
        await audit.round()
        clock.now += timedelta(days=6)
        await audit.write(CHANGE)
        await audit.round()
        assert len(held(tmp_path)) == 4
        clock.now += timedelta(days=5)
        await audit.round()
        assert [action for action, _ in held(tmp_path)] == ["host.write", "audit.trim"]


async def test_a_log_that_was_cut_off_while_the_hub_stood_still_is_noticed_at_its_next_start(tmp_path: Path) -> None:
    async with a_log(tmp_path) as audit:
        for _ in range(5):
            await audit.write(CHANGE)
    database = open_database(tmp_path)
    await database.write(
        lambda connection: connection.execute(delete(audit_rows).where(audit_rows.c.seq > 4)) and None
    )
    await database.close()
    with capture_logs() as logged:
        async with a_log(tmp_path):
            pass
    assert any("does not hold what its kept head tells" in line["event"] for line in logged)
    told = dict(held(tmp_path))
    assert told["audit.set_back"]["head_seq"] == 9
    assert told["audit.set_back"]["restored_from"] is None


async def test_a_log_that_a_restored_backup_set_back_says_so_and_is_whole(tmp_path: Path) -> None:
    service = await Service.open(Settings(server=ServerSettings(data_dir=tmp_path)), lambda: NOW)
    await service.start()
    for _ in range(5):
        await service.audit.write(CHANGE)
    await service.stop()
    database = open_database(tmp_path)
    await database.write(
        lambda connection: connection.execute(delete(audit_rows).where(audit_rows.c.seq > 5)) and None
    )
    await database.close()
    made_at = NOW - timedelta(hours=2)
    signed = sign_restore(load_key(tmp_path / "secret.key"), made_at, NOW)
    note_restored(tmp_path / DATABASE_NAME, Restored(made_at=made_at, restored_at=NOW, proof=signed))
    for _ in range(2):
        service = await Service.open(Settings(server=ServerSettings(data_dir=tmp_path)), lambda: NOW)
        await service.start()
        await service.stop()
    told = held(tmp_path)
    assert [action for action, _ in told].count("hub.restore") == 1
    assert dict(told)["audit.set_back"]["restored_from"] == made_at.isoformat()
    proof = prove_file(tmp_path / DATABASE_NAME, tmp_path / "secret.key", head_files(service.settings))
    assert proof.findings == []
    assert "restored from a backup" in proof.notes[0]


@pytest.mark.parametrize("note", ["made up", "of an earlier restore"])
async def test_whoever_has_the_database_alone_cannot_say_that_a_backup_was_restored(
    tmp_path: Path, note: str
) -> None:
    made_at, restored_at = NOW - timedelta(hours=2), NOW if note == "made up" else NOW - timedelta(hours=1)
    signed = "" if note == "made up" else sign_restore(KEY, made_at, restored_at)
    async with a_log(tmp_path) as audit:
        for _ in range(5):
            await audit.write(CHANGE)
    database = open_database(tmp_path)
    await database.write(lambda found: found.execute(delete(audit_rows).where(audit_rows.c.seq > 4)) and None)
    await database.close()
    note_restored(tmp_path / DATABASE_NAME, Restored(made_at=made_at, restored_at=restored_at, proof=signed))
    async with a_log(tmp_path):
        pass
    assert dict(held(tmp_path))["audit.set_back"]["restored_from"] is None
    proof = prove(rows.stored_rows(tmp_path / DATABASE_NAME), keys=chain_keys(KEY), hub_key=HUB.public_key)
    assert any("rows were cut off" in sentence for sentence in proof.findings)


@pytest.mark.parametrize("change", ["cut off", "written anew"])
async def test_a_log_that_is_changed_under_a_running_hub_is_told_by_its_next_row(tmp_path: Path, change: str) -> None:
    async with a_log(tmp_path) as audit:
        for _ in range(5):
            await audit.write(CHANGE)
        await audit.round()

        def forge(connection: Connection) -> None:
            if change == "cut off":
                connection.execute(delete(audit_rows).where(audit_rows.c.seq > 5))
            else:
                connection.execute(update(audit_rows).where(audit_rows.c.seq == 8).values(row_hash=b"x" * 32))

        await asyncio.to_thread(beside_the_hub, tmp_path, forge)
        await audit.round()
        assert head_of(tmp_path).seq == 8, "what the forger left is signed by nobody"
        for _ in range(5):
            await audit.write(CHANGE)
        await audit.round()
        assert head_of(tmp_path).seq == (11 if change == "cut off" else 14)
        assert audit.totals["audit.set_back"] == 1, "and it is told once"
    assert dict(held(tmp_path))["audit.set_back"]["head_seq"] == 8
    proof = prove(
        rows.stored_rows(tmp_path / DATABASE_NAME),
        keys=chain_keys(KEY),
        hub_key=HUB.public_key,
        heads=[head_of(tmp_path)],
    )
    assert any("rows were cut off" in sentence for sentence in proof.findings)


async def test_a_head_that_another_hub_left_beside_the_key_is_not_believed(tmp_path: Path) -> None:
    stranger = sign_head(mint_key_pair(b"o" * 32), 99, b"x" * 32, NOW)
    (tmp_path / HEAD_FILE).write_bytes(msgspec.json.encode(stranger))
    async with a_log(tmp_path):
        pass
    assert "audit.set_back" not in dict(held(tmp_path))


async def test_a_log_that_cannot_be_begun_is_begun_at_the_next_round(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    audit = Audit(database, KEY, HUB, Clock(), Settings(server=ServerSettings(data_dir=tmp_path)), AlwaysHeld())
    full = "CREATE TRIGGER full BEFORE INSERT ON audit_rows BEGIN SELECT RAISE(ABORT, 'no room'); END"
    await database.write(lambda connection: connection.execute(text(full)) and None)
    with capture_logs() as logged:
        await audit.start()
    assert [line["event"] for line in logged] == ["the audit log could not be begun"]
    with pytest.raises(StoreError):
        await audit.write(CHANGE)
    assert audit.failures == 2
    await database.write(lambda connection: connection.execute(text("DROP TRIGGER full")) and None)
    await audit.round()
    assert [action for action, _ in held(tmp_path)] == ["audit.begin", "hub.key_made", "hub.start"]
    await database.close()


async def test_rows_that_a_command_wrote_beside_the_hub_are_counted_and_signed(tmp_path: Path) -> None:
    async with a_log(tmp_path) as audit:
        entry, keys = Entry(action="user.reset", who=THE_HUB), chain_keys(KEY)

        def append(connection: Connection) -> None:
            rows.append(connection, entry, NOW, keys)

        await asyncio.to_thread(beside_the_hub, tmp_path, append)
        await audit.round()
        assert audit.totals["user.reset"] == 1
        assert head_of(tmp_path).seq == 4
        await audit.write(CHANGE)
    assert [action for action, _ in held(tmp_path)][-3:] == ["user.reset", "host.write", "hub.stop"]


async def test_a_line_of_the_log_tells_the_signed_head_once_a_day(tmp_path: Path) -> None:
    clock = Clock()
    async with a_log(tmp_path, clock) as audit:
        with capture_logs() as logged:
            for _ in range(72):
                clock.now += timedelta(hours=1)
                await audit.round()
        lines = [line for line in logged if line["event"] == "audit head"]
        assert len(lines) == 3
        assert lines[-1]["seq"] == 3
        assert lines[-1]["signature"]


async def test_a_backup_of_the_hub_is_told_once(tmp_path: Path) -> None:
    backups = [NOW]
    async with a_log(tmp_path) as audit:
        await audit.start(lambda: backups[-1])
        await audit.round()
        await audit.round()
        backups.append(NOW + timedelta(days=1))
        await audit.round()
    async with a_log(tmp_path) as audit:
        await audit.start(lambda: backups[-1])
        await audit.round()
    assert [action for action, _ in held(tmp_path)].count("hub.backup") == 2


async def test_many_writers_at_once_make_one_chain(tmp_path: Path) -> None:
    async with a_log(tmp_path) as audit:
        seqs = await asyncio.gather(*(audit.write(CHANGE) for _ in range(200)))
    assert sorted(seqs) == list(range(4, 204))
    proof = prove(rows.stored_rows(tmp_path / DATABASE_NAME), keys=chain_keys(KEY), heads=[head_of(tmp_path)])
    assert (proof.findings, proof.rows) == ([], 204)


async def test_what_the_hub_archives_by_itself_and_takes_back_is_told(tmp_path: Path) -> None:
    fleet = Fleet()
    sources = [a_source(id=f"01SOURCE{number}", name=f"source {number}") for number in range(30)]
    for source in sources:
        put_source(fleet, source)
    async with a_log(tmp_path) as audit:
        deeds = Deeds(audit, fleet)
        for source in sources:
            fleet.sources[source.id] = replace(source, archived_by=f"{OURS}it is silent)")
        deeds.changed(Changes(sources={source.id for source in sources}))
        deeds.changed(Changes(sources={source.id for source in sources}))
        await deeds.settle()
        fleet.sources[sources[3].id] = sources[3]
        deeds.changed(Changes(sources={sources[3].id}))
        fleet.sources[sources[4].id] = replace(sources[4], archived_by="ann")
        deeds.changed(Changes(sources={sources[4].id}))
        await deeds.settle()
        await deeds.trimmed(17)
    told = [one for one in held(tmp_path) if one[0] in ("source.archive", "hub.trim")]
    assert [details for _, details in told][1:] == [{"archived": False, "sources": 1}, {"rows": 17}]
    assert told[0][1]["sources"] == 30
    assert len(told[0][1]["named"]) == 20


async def test_the_note_of_what_was_told_survives_a_restart(tmp_path: Path) -> None:
    async with a_log(tmp_path):
        pass
    database = open_database(tmp_path)
    assert await database.read(lambda connection: records.get_meta(connection, "audit.noted")) is not None
    await database.close()


async def test_an_agent_that_comes_with_its_next_key_is_told(tmp_path: Path) -> None:
    fleet, asked = Fleet(), []
    put_host(fleet, a_host(id="01HOST", name="web-1"))

    async def rekeyed(host_id: str, key: str) -> None:
        asked.append((host_id, key))

    async with a_log(tmp_path) as audit:
        await Deeds(audit, fleet).telling(rekeyed)("01HOST", "new key")
    assert asked == [("01HOST", "new key")]
    (row,) = (row for row in rows.stored_rows(tmp_path / DATABASE_NAME) if row[2] == "host.rekey")
    assert row[5:11] == ("agent", "01HOST", "web-1", "host", "01HOST", "web-1")
