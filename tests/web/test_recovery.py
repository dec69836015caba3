"""The recovery kit: asked for until somebody takes it, shown once, and noted with name and time."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lastgood.auth.age import Locking, Opened, recipient_of
from lastgood.config.settings import ServerSettings
from lastgood.secret import Secret
from lastgood.service.last_backup import BackupWatch, LastBackup, last_backup, note_backup
from lastgood.store.copying import Restored
from lastgood.store.database import DATABASE_NAME
from lastgood.store.recovery import Kit
from lastgood.web.recovery import remind
from tests.builders import NOW
from tests.waiting import until
from tests.web.site import ORIGIN, at_home, form_token

NOBODY = "Nobody has taken the recovery kit"


def key_of(text: str) -> str:
    [key] = [line for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-1")]
    return key


async def test_the_first_page_asks_for_the_kit_until_somebody_took_it_and_the_key_is_shown_once(
    tmp_path: Path,
) -> None:
    async with at_home(tmp_path, server=ServerSettings(data_dir=tmp_path)) as home:
        ann = await home.signed_in("ann")
        assert NOBODY in (await ann.get("/")).text
        before = await ann.get("/recovery")
        assert "nobody has taken it yet" in before.text
        with capture_logs() as lines:
            taken = await ann.post("/recovery", data={"csrf": form_token(before.text)}, headers={"Origin": ORIGIN})
        assert taken.status_code in (200, 201)
        assert taken.headers["Cache-Control"] == "no-store"
        key = key_of(taken.text)
        [line] = [line for line in lines if "kit" in line]
        assert line["by"] == "ann"
        assert key not in repr(lines)
        after = await ann.get("/recovery")
        assert key not in after.text
        assert recipient_of(Secret(key)) in after.text
        assert "<bdi>ann</bdi>" in after.text
        assert NOBODY not in (await ann.get("/")).text
        assert "was never backed up" in (await ann.get("/")).text
        note_backup(tmp_path, home.moment, "/mnt/elsewhere/hub.age")
        assert "was never backed up" not in (await ann.get("/")).text
        assert "/mnt/elsewhere/hub.age" in (await ann.get("/recovery")).text
    for part in tmp_path.glob(DATABASE_NAME + "*"):
        assert key.encode() not in part.read_bytes()


async def test_each_kit_has_a_key_of_its_own_and_says_that_older_backups_need_the_older_one(tmp_path: Path) -> None:
    async with at_home(tmp_path, server=ServerSettings(data_dir=tmp_path)) as home:
        script = home.program()
        assert (await script.get("/api/v1/recovery-kit")).json()["taken_at"] is None
        first = (await script.post("/api/v1/recovery-kit")).json()
        home.turn(days=1)
        second = (await script.post("/api/v1/recovery-kit")).json()
        assert first["recovery_key"] != second["recovery_key"]
        assert "need the kit before" not in first["text"]
        assert "need the kit before" in second["text"]
        told = (await script.get("/api/v1/recovery-kit")).json()
        assert told["taken"] == 2
        assert told["taken_by"] == "script"
        assert told["recipient"] == second["recipient"]
        out = io.BytesIO()
        locking = Locking(out, recipient=told["recipient"])
        locking.write(b"hello")
        locking.close()
        opened = Opened(io.BytesIO(out.getvalue()), key=Secret(second["recovery_key"]))
        assert opened.read() == b"hello"
        # Comments and one key: what age takes as a file of identities.
        assert all(line.startswith(("#", "AGE-SECRET-KEY-1")) for line in second["text"].splitlines())


async def test_a_kit_is_not_taken_by_a_form_of_another_site(tmp_path: Path) -> None:
    async with at_home(tmp_path, server=ServerSettings(data_dir=tmp_path)) as home:
        ann = await home.signed_in("ann")
        answer = await ann.post("/recovery", data={}, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403
        assert (await home.client().post("/api/v1/recovery-kit")).status_code == 401
        assert NOBODY in (await ann.get("/")).text


KIT = Kit(recipient="age1x", taken_by="ann", taken_at=NOW)
FRESH = LastBackup(made_at=NOW, to="/x")


@pytest.mark.parametrize(
    ("kit", "made", "days", "says"),
    [
        (None, None, 0, NOBODY),
        (None, FRESH, 0, NOBODY),
        (KIT, None, 0, "never backed up"),
        (KIT, FRESH, 1, None),
        (KIT, FRESH, 9, "last backed up 9 d ago"),
    ],
)
def test_what_is_missing_is_said_and_nothing_if_all_is_well(
    kit: Kit | None, made: LastBackup | None, days: int, says: str | None
) -> None:
    said = remind(kit, None, made, NOW + timedelta(days=days))
    assert len(said) == (says is not None)
    assert says is None or says in said[0]


def test_after_a_restore_the_time_that_is_missing_is_named_for_a_week() -> None:
    restored = Restored(made_at=NOW - timedelta(hours=20), restored_at=NOW)
    [line] = remind(KIT, restored, FRESH, NOW + timedelta(days=6))
    assert f"{NOW - timedelta(hours=20):%Y-%m-%d %H:%M:%S}" in line
    assert "told again by the agents" in line
    assert remind(KIT, restored, FRESH, NOW + timedelta(days=7)) == []


def test_a_note_of_the_last_backup_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert last_backup(tmp_path) is None
    (tmp_path / "last-backup.json").write_text("{")
    assert last_backup(tmp_path) is None


async def test_the_newest_backup_of_the_hub_is_known_without_reading_the_disk(tmp_path: Path) -> None:
    note_backup(tmp_path, NOW, "/mnt/elsewhere/hub.age")
    watch = BackupWatch(tmp_path)
    watching = asyncio.create_task(watch.run())

    async def seen() -> bool:
        return watch.made_at == NOW

    await until(seen, "the note is read")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
