"""A hub is backed up while it works, and made again elsewhere: all of it, or nothing at all."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import stat
import sys
import tarfile
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from lastgood.auth.age import Locking, Opened, Unopened, mint_recovery_key
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.errors import ConfigError, StoreError
from lastgood.model.fact import HostEnrolled, RunFinished
from lastgood.secret import Secret
from lastgood.service.safekeeping import Places, back_up, restore
from lastgood.service.service import Service
from lastgood.store.copying import was_restored
from lastgood.store.database import DATABASE_NAME
from tests.builders import NOW, a_host, a_repository, a_run, a_source, an_id

KEY = mint_recovery_key(b"k" * 32)
AT = NOW + timedelta(hours=3)


@asynccontextmanager
async def hub_in(folder: Path) -> AsyncIterator[Service]:
    service = await Service.open(Settings(server=ServerSettings(data_dir=folder)), now)
    await service.ingest.start()
    try:
        yield service
    finally:
        await service.stop()


async def a_hub(folder: Path) -> str:
    """A data folder with three hosts and what the quick start keeps beside; answers the hub's fingerprint."""
    async with hub_in(folder) as service:
        hosts = [a_host(f"web-{number}") for number in range(3)]
        await service.take([HostEnrolled(at=NOW, origin="test", host=host) for host in hosts])
    (folder / "repository.password").write_text("swordfish\n")
    return service.keys.fingerprint


def places(folder: Path, *configuration: Path) -> Places:
    return Places(data_dir=folder, key_file=folder / "secret.key", configuration=configuration)


def backed_up(folder: Path, *configuration: Path) -> bytes:
    out = io.BytesIO()
    back_up(places(folder, *configuration), out, AT, recipient=KEY.recipient)
    return out.getvalue()


async def test_a_restored_hub_knows_what_it_knew_and_is_the_same_hub_to_its_agents(tmp_path: Path) -> None:
    fingerprint = await a_hub(tmp_path / "old")
    (tmp_path / "lastgood.toml").write_text("[log]\nlevel = 'info'\n")
    blob = backed_up(tmp_path / "old", tmp_path / "lastgood.toml")
    assert b"web-1" not in blob
    assert b"swordfish" not in blob
    found = restore(io.BytesIO(blob), tmp_path / "deep/new", AT, key=KEY.secret)
    assert found.fingerprint == fingerprint
    assert found.aside == ("lastgood.toml",)
    assert (tmp_path / "deep/new/repository.password").read_text() == "swordfish\n"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep/new").rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "deep/new").stat().st_mode) == 0o700
    async with hub_in(tmp_path / "deep/new") as service:
        assert sorted(host.name for host in service.fleet.hosts.values()) == ["web-0", "web-1", "web-2"]
        assert service.keys.fingerprint == fingerprint
        note = await service.database.read(was_restored)
        assert note is not None
        assert note.made_at == AT


async def test_files_whose_names_meet_or_begin_with_a_dot_leave_the_backup_restorable(tmp_path: Path) -> None:
    await a_hub(tmp_path / "old")
    given = [tmp_path / "a/hub.pem", tmp_path / "b/hub.pem", tmp_path / "a/hub.pem", tmp_path / ".hub.toml"]
    for path in given:
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(path))
    blob = backed_up(tmp_path / "old", *given)
    found = restore(io.BytesIO(blob), tmp_path / "new", AT, key=KEY.secret)
    assert found.aside == ("2-hub.pem", "hub.pem", "hub.toml")
    assert (tmp_path / "new/restored/2-hub.pem").read_text() == str(tmp_path / "b/hub.pem")


async def test_an_old_key_left_beside_a_hub_whose_key_is_elsewhere_leaves_the_backup_restorable(
    tmp_path: Path,
) -> None:
    fingerprint = await a_hub(tmp_path / "old")
    elsewhere = tmp_path / "hub.key"
    (tmp_path / "old/secret.key").rename(elsewhere)
    (tmp_path / "old/secret.key").write_bytes(b"an older one")
    out = io.BytesIO()
    back_up(Places(data_dir=tmp_path / "old", key_file=elsewhere), out, AT, recipient=KEY.recipient)
    out.seek(0)
    assert restore(out, tmp_path / "new", AT, key=KEY.secret).fingerprint == fingerprint
    assert (tmp_path / "new/secret.key").read_bytes() == elsewhere.read_bytes()


async def test_the_backup_is_one_moment_of_a_hub_that_goes_on_writing(tmp_path: Path) -> None:
    source = a_source()
    async with hub_in(tmp_path / "old") as service:
        await service.take([HostEnrolled(at=NOW, origin="test", host=a_host())])
        enough = asyncio.Event()
        told = 0

        async def tell() -> None:
            nonlocal told
            while not enough.is_set():
                run = a_run(source, id=an_id("run", told), repository_id=a_repository().id)
                await service.take([RunFinished(at=NOW, origin="test", run=run)])
                told += 1

        telling = asyncio.create_task(tell())
        blobs = []
        for _ in range(3):
            before = told
            blobs.append((before, await asyncio.to_thread(backed_up, tmp_path / "old"), told))
        enough.set()
        await telling
    assert blobs[-1][2] > blobs[0][0], "the hub wrote while it was copied"
    for number, (least, blob, most) in enumerate(blobs):
        restore(io.BytesIO(blob), tmp_path / f"new-{number}", AT, key=KEY.secret)
        async with hub_in(tmp_path / f"new-{number}") as restored:
            kept = await restored.database.read(
                lambda rows: rows.exec_driver_sql("SELECT count(*) FROM runs").scalar_one()
            )
        assert least <= kept <= most + 1


async def test_whatever_is_wrong_with_a_backup_nothing_is_left_behind(tmp_path: Path) -> None:
    await a_hub(tmp_path / "old")
    blob = backed_up(tmp_path / "old")
    spoilt = {
        "cut off": blob[:-1],
        "cut in the middle": blob[: len(blob) // 2],
        "altered": blob[:-300] + bytes([blob[-300] ^ 1]) + blob[-299:],
        "something else": b"PK\x03\x04" + blob,
        "empty": b"",
    }
    for name, bad in spoilt.items():
        with pytest.raises(Unopened):
            restore(io.BytesIO(bad), tmp_path / "new", AT, key=KEY.secret)
        assert not (tmp_path / "new").exists(), name
    with pytest.raises(Unopened, match="older kit"):
        restore(io.BytesIO(blob), tmp_path / "new", AT, key=mint_recovery_key().secret)
    assert not (tmp_path / "new").exists()


async def test_a_folder_that_holds_anything_is_never_touched(tmp_path: Path) -> None:
    await a_hub(tmp_path / "old")
    blob = backed_up(tmp_path / "old")
    (tmp_path / "new").mkdir()
    (tmp_path / "new/notes").write_text("mine")
    with pytest.raises(ConfigError, match="not an empty folder"):
        restore(io.BytesIO(blob), tmp_path / "new", AT, key=KEY.secret)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["notes"]


async def test_an_empty_folder_that_is_a_file_system_of_its_own_is_filled(tmp_path: Path) -> None:
    await a_hub(tmp_path / "old")
    (tmp_path / "new/lost+found").mkdir(parents=True)
    restore(io.BytesIO(backed_up(tmp_path / "old")), tmp_path / "new", AT, key=KEY.secret)
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [DATABASE_NAME, "lost+found", "repository.password", "secret.key"]


async def test_a_backup_whose_key_does_not_fit_its_database_is_not_made(tmp_path: Path) -> None:
    await a_hub(tmp_path / "old")
    await a_hub(tmp_path / "other")
    out = io.BytesIO()
    other = Places(data_dir=tmp_path / "old", key_file=tmp_path / "other/secret.key")
    with pytest.raises(ConfigError, match="worth nothing"):
        back_up(other, out, AT, recipient=KEY.recipient)
    assert out.getvalue() == b""
    assert not list((tmp_path / "old").glob(".hub-backup-*"))


async def test_a_damaged_database_is_told_when_it_is_backed_up_and_not_when_it_is_needed(tmp_path: Path) -> None:
    await a_hub(tmp_path / "old")
    path = tmp_path / "old" / DATABASE_NAME
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    with pytest.raises((ConfigError, StoreError)):
        backed_up(tmp_path / "old")


def packed(**entries: bytes) -> bytes:
    out = io.BytesIO()
    locking = Locking(out, recipient=KEY.recipient)
    with tarfile.open(fileobj=locking, mode="w|") as tar:  # type: ignore[call-overload]
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    locking.close()
    return out.getvalue()


MANIFEST = b'{"version":1,"made_at":"2026-03-01T00:00:00Z","program":"9","key_file":"/x/secret.key"}'


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"manifest.json": MANIFEST}, "holds no hub"),
        ({"manifest.json": MANIFEST.replace(b":1,", b":2,")}, "newer form"),
        ({"manifest.json": b"{}"}, "what it is of"),
        ({"lastgood.db": b"x", "secret.key": b"x"}, "what it is of"),
        ({"manifest.json": MANIFEST, "../evil": b"x"}, "no backup of a hub has"),
        ({"manifest.json": MANIFEST, "beside/.hidden": b"x"}, "no backup of a hub has"),
        ({"manifest.json": MANIFEST, "/etc/evil": b"x"}, "no backup of a hub has"),
        ({"manifest.json": MANIFEST, "lastgood.db": b"x", "secret.key": b"x"}, "not sound"),
    ],
)
def test_a_file_that_no_hub_made_is_refused_though_it_opens(
    tmp_path: Path, entries: dict[str, bytes], says: str
) -> None:
    with pytest.raises((Unopened, ConfigError), match=says):
        restore(io.BytesIO(packed(**entries)), tmp_path / "new", AT, key=KEY.secret)
    assert list(tmp_path.iterdir()) == []


async def test_a_large_hub_is_backed_up_and_restored_in_little_memory(tmp_path: Path) -> None:
    async with hub_in(tmp_path / "old") as service:
        await service.database.write(
            lambda rows: rows.exec_driver_sql("CREATE TABLE ballast AS SELECT randomblob(60000000) AS weight")
        )
    with (tmp_path / "hub.age").open("wb") as out:
        tracemalloc.start()
        back_up(places(tmp_path / "old"), out, AT, passphrase=Secret("correct horse"))
        size = out.tell()
    with (tmp_path / "hub.age").open("rb") as locked:
        restore(locked, tmp_path / "new", AT, passphrase=Secret("correct horse"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sys.stdout.write(f"{size / 1e6:.0f} MB backed up and restored with at most {peak / 1e6:.1f} MB held\n")
    assert size > 60_000_000
    assert peak < 20_000_000


async def test_what_a_killed_backup_left_in_the_data_folder_goes_with_the_next_and_what_another_makes_stays(
    tmp_path: Path,
) -> None:
    await a_hub(tmp_path / "old")
    left, other = tmp_path / "old/.hub-backup-0123", tmp_path / "old/.hub-backup-4567"
    for folder in (left, other):
        folder.mkdir()
        (folder / DATABASE_NAME).write_text("a copy")
    held = os.open(other, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    backed_up(tmp_path / "old")
    assert not left.exists()
    assert (other / DATABASE_NAME).exists()
    os.close(held)


def test_the_file_opens_without_lastgood_as_a_tar(tmp_path: Path) -> None:
    asyncio.run(a_hub(tmp_path / "old"))
    clear = Opened(io.BytesIO(backed_up(tmp_path / "old")), key=KEY.secret).read()
    with tarfile.open(fileobj=io.BytesIO(clear)) as tar:
        assert tar.getnames() == ["manifest.json", "secret.key", "beside/repository.password", DATABASE_NAME]
