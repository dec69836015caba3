"""``lastgood audit`` as an operator types it: what is proved, what is found, and what cannot be known."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lastgood.cli.app import app
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.errors import ConfigError
from lastgood.model.audit import THE_HUB, Entry
from lastgood.service.service import Service
from lastgood.store.database import DATABASE_NAME


@pytest.fixture
async def hub(tmp_path: Path) -> Path:
    """The folder of a hub that ran, did ten things, and was stopped."""
    folder = tmp_path / "hub"
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.start()
    for _ in range(10):
        await service.audit.write(Entry(action="host.write", who=THE_HUB))
    head = service.audit.head()
    assert head is not None
    (tmp_path / "kept.json").write_text(json.dumps({"head": {**json.loads(as_json(head))}}))
    await service.stop()
    return folder


def as_json(head: object) -> str:
    import msgspec

    return msgspec.json.encode(head).decode()


async def verify(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ("audit", "verify", *words))


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        connection.execute(statement)
        connection.commit()


async def test_a_log_that_nobody_touched_is_whole_up_to_the_head_beside_the_key(hub: Path) -> None:
    ended = await verify("--data-dir", str(hub))
    assert ended.exit_code == 0, ended.output
    assert "14 rows, 1 to 14" in ended.output
    assert "none was changed" in ended.output
    assert "unproved That no row was cut off is proved up to row 14" in ended.output


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE audit_rows SET actor_name = 'nobody' WHERE seq = 6", "Row 6 was changed"),
        ("DELETE FROM audit_rows WHERE seq = 6", "Row 6 is missing"),
        ("DELETE FROM audit_rows WHERE seq > 6", "tells of row 14: rows were cut off"),
        ("DELETE FROM audit_rows WHERE seq < 6", "Rows 1 to 5 are missing"),
        ("DELETE FROM audit_rows", "The log ends at row 0"),
        ("UPDATE audit_rows SET details = CAST(x'ff' AS TEXT) WHERE seq = 6", "Row 6 was changed"),
    ],
)
async def test_whatever_was_changed_is_named_and_the_command_fails(hub: Path, statement: str, finding: str) -> None:
    change(hub, statement)
    ended = await verify("--data-dir", str(hub))
    assert ended.exit_code == 1, ended.output
    assert finding in ended.output
    told = json.loads((await verify("--data-dir", str(hub), "--json")).output)
    assert told["whole"] is False
    assert told["faults"] >= 1


async def test_a_copy_is_proved_with_its_key_and_without_it_less(hub: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(hub / DATABASE_NAME, copy)
    alone = await verify("--database", str(copy))
    assert alone.exit_code == 0
    assert "Without the secret key file" in alone.output
    assert "Without a signed head" in alone.output
    key = ("--key-file", str(hub / "secret.key"))
    ended = await verify("--database", str(copy), *key, "--head", str(tmp_path / "kept.json"))
    assert ended.exit_code == 0
    assert "proved up to row 13" in ended.output
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DELETE FROM audit_rows WHERE seq > 9")
        connection.commit()
    assert (await verify("--database", str(copy), *key)).exit_code == 0, "nobody can know without a head"
    assert (await verify("--database", str(copy), *key, "--head", str(tmp_path / "kept.json"))).exit_code == 1


async def test_what_cannot_be_read_is_refused_with_a_sentence(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "other.key").write_bytes((hub / "secret.key").read_bytes()[::-1].strip() + b"\n")
    (tmp_path / "other.key").chmod(0o600)
    (tmp_path / "no-head").write_text("{}")
    for words in (
        ("--database", str(tmp_path / "none.db")),
        ("--data-dir", str(hub), "--head", str(tmp_path / "no-head")),
        ("--data-dir", str(hub), "--head", str(tmp_path / "absent")),
        ("--data-dir", str(hub), "--key-file", str(tmp_path / "other.key")),
        ("--database", str(tmp_path / "no-head")),
    ):
        ended = await verify(*words)
        assert isinstance(ended.exception, ConfigError), (words, ended.output)
        assert str(ended.exception).endswith((".", "FILE"))


async def test_a_link_made_on_the_hubs_machine_is_told_and_the_link_is_not(hub: Path) -> None:
    ended = await asyncio.to_thread(CliRunner().invoke, app, ("user", "reset", "--data-dir", str(hub)))
    assert ended.exit_code == 0, ended.output
    link = ended.output.splitlines()[0].rpartition("/")[2]
    with closing(sqlite3.connect(hub / DATABASE_NAME)) as connection:
        (row,) = connection.execute("SELECT * FROM audit_rows WHERE action = 'user.reset'").fetchall()
    assert "local" in row
    assert link not in str(row)
    assert (await verify("--data-dir", str(hub))).exit_code == 0
