"""The hub's own backup: database, keys and configuration as one encrypted file, and a hub made of it again.

A data folder goes in, beside the running hub or without one; an age file comes out, and back. The one rule: nothing
is called restored before all of it was read to its end and found sound, and a folder that holds anything is never
touched. Inside is a tar: ``manifest.json`` (version 1), ``lastgood.db``, ``secret.key``, and what stood beside them.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, cast

import msgspec

from lastgood import __version__
from lastgood.auth.age import Locking, Opened, Unopened
from lastgood.auth.chain import sign_restore
from lastgood.auth.identity import key_pair
from lastgood.auth.secrets import Sealer, key_name, subkey
from lastgood.config.keyfile import load_key
from lastgood.errors import ConfigError, StoreError
from lastgood.secret import Secret
from lastgood.service.identity import HUB_KEY, SECRET_KEY_NAME
from lastgood.service.last_backup import NOTE
from lastgood.store.copying import Restored, check_copy, copy_database, note_restored, read_note, read_sealed
from lastgood.store.database import DATABASE_NAME
from lastgood.store.folder import LOCK_NAME

FORMAT = 1
MANIFEST = "manifest.json"
KEY = "secret.key"
BESIDE = "beside/"
"""Small files of the data folder: passwords and tokens that the quick start keeps there."""

ASIDE = "restored"
"""Where settings and certificates of the old machine are put: they are looked at, never taken over by themselves."""

LARGEST_BESIDE = 64 * 1024
MOST_BESIDE = 100
_DRAFT = ".hub-backup-"
_OF_THE_DISK = "lost+found"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of."""

    version: int
    made_at: datetime
    program: str
    key_file: str
    """Where the hub kept its secret key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is backed up: the data folder, its secret key, and files that belong to the configuration."""

    data_dir: Path
    key_file: Path
    configuration: Sequence[Path] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A hub that was restored; ``fingerprint`` is its key's, by which its agents know it."""

    manifest: Manifest
    fingerprint: str
    aside: tuple[str, ...]
    """Files of the old machine's configuration, in ``ASIDE``."""


def recipient_noted(data_dir: Path, note: str) -> str | None:
    """A note of the hub's database, read beside it. Raises ConfigError if there is no hub's data."""
    path = data_dir / DATABASE_NAME
    if not path.exists():
        raise ConfigError(f"There is no hub's data in {data_dir}; name its folder with --data-dir.")
    return read_note(path, note)


def back_up(
    places: Places, to: IO[bytes], at: datetime, *, recipient: str | None = None, passphrase: Secret | None = None
) -> Manifest:
    """Write a backup that was found sound before a byte of it went out. Raises ConfigError or StoreError."""
    with _draft_in(places.data_dir) as draft:
        copy = draft / DATABASE_NAME
        copy_database(places.data_dir / DATABASE_NAME, copy)
        check_copy(copy)
        _fitting(copy, places.key_file)
        manifest = Manifest(version=FORMAT, made_at=at, program=__version__, key_file=str(places.key_file.absolute()))
        locking = Locking(to, recipient=recipient, passphrase=passphrase)
        with tarfile.open(fileobj=cast("IO[bytes]", locking), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, MANIFEST, msgspec.json.encode(manifest), at)
            _add(tar, KEY, places.key_file.read_bytes(), at)
            for path in _beside(places):
                _add(tar, BESIDE + path.name, path.read_bytes(), at)
            for name, path in _aside(places.configuration).items():
                _add(tar, f"{ASIDE}/{name}", path.read_bytes(), at)
            with copy.open("rb") as database:
                tar.addfile(_entry(DATABASE_NAME, copy.stat().st_size, at), database)
        locking.close()
    return manifest


def restore(
    locked: IO[bytes], folder: Path, at: datetime, *, key: Secret | None = None, passphrase: Secret | None = None
) -> Recovered:
    """Make the data folder of a backup. Raises ConfigError or Unopened, and then has made nothing."""
    _refuse_filled(folder)
    opened = Opened(locked, key=key, passphrase=passphrase)
    made = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _draft_in(folder) as draft:  # within, for the folder may be a file system of its own
            manifest = _unpack(opened, draft)
            fingerprint = _sound(draft)
            proof = sign_restore(load_key(draft / KEY), manifest.made_at, at)
            note = Restored(made_at=manifest.made_at, restored_at=at, proof=proof)
            note_restored(draft / DATABASE_NAME, note)
            for path in sorted(draft.iterdir(), key=lambda path: path.name == DATABASE_NAME):
                path.rename(folder / path.name)  # the database last: without it nothing takes this for a hub
        _sync(folder)
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise
    aside = tuple(sorted(path.name for path in (folder / ASIDE).glob("*")))
    return Recovered(manifest=manifest, fingerprint=fingerprint, aside=aside)


def _sound(draft: Path) -> str:
    """The fingerprint of an unpacked hub's key. Raises ConfigError or Unopened if it is not whole."""
    database, key = draft / DATABASE_NAME, draft / KEY
    if not database.exists() or not key.exists():
        raise Unopened("This backup holds no hub: its database or its secret key is not in it.")
    check_copy(database)
    return _fitting(database, key)


def _fitting(database: Path, key_file: Path) -> str:
    """The fingerprint of the hub's key; raises ConfigError if the secret key is not the one of this database."""
    secret_key = load_key(key_file)
    sealed = read_sealed(database, HUB_KEY)
    if sealed is None or read_note(database, SECRET_KEY_NAME) != key_name(secret_key):
        raise ConfigError(
            f"The secret key {key_file} is not the one that the database was made with, so a backup of both would be "
            "worth nothing; put the right one back."
        )
    return key_pair(Sealer(subkey(secret_key, "sealed columns")).open(HUB_KEY, sealed)).fingerprint


# --- packing ------------------------------------------------------------------------------------------------------


def _beside(places: Places) -> list[Path]:
    """The small files of the data folder that no start makes anew."""
    known = {path.absolute() for path in (places.key_file, places.data_dir / LOCK_NAME, places.data_dir / NOTE)}
    found = [
        path
        for path in sorted(places.data_dir.iterdir())
        if path.is_file()
        and not path.is_symlink()
        and not path.name.startswith((".", DATABASE_NAME))
        and path.name not in (KEY, ASIDE)  # of the data folder that is made of this; a key in use is elsewhere then
        and path.absolute() not in known
        and path.stat().st_size <= LARGEST_BESIDE
    ]
    return found[:MOST_BESIDE]


def _aside(configuration: Sequence[Path]) -> dict[str, Path]:
    """The files by the names that they get in ``ASIDE``: none begins with a dot, and none is given twice."""
    named: dict[str, Path] = {}
    for path in dict.fromkeys(path.absolute() for path in configuration):
        name, number = path.name.lstrip(".") or "file", 1
        while name in named:
            number += 1
            name = f"{number}-{path.name.lstrip('.')}"
        named[name] = path
    return named


def _add(tar: tarfile.TarFile, name: str, content: bytes, at: datetime) -> None:
    tar.addfile(_entry(name, len(content), at), io.BytesIO(content))


def _entry(name: str, size: int, at: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(at.timestamp())
    return entry


# --- unpacking ----------------------------------------------------------------------------------------------------


def _unpack(opened: Opened, draft: Path) -> Manifest:
    manifest: Manifest | None = None
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", opened), mode="r|") as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                if content is None:
                    raise Unopened(f"This backup holds {entry.name!r}, which is no file; no lastgood made it.")
                if entry.name == MANIFEST:
                    manifest = _read_manifest(content.read(LARGEST_BESIDE))
                else:
                    _write(content, _place(entry.name, draft))
        while opened.read(1 << 20):  # to the very end, which says that nothing was cut off
            pass
    except tarfile.TarError as error:
        raise Unopened(f"This backup cannot be unpacked ({error}); take another copy of it.") from error
    except OSError as error:
        raise StoreError(
            f"The backup cannot be written to {draft.parent} ({error.strerror}); look at the disk's free room."
        ) from error
    if manifest is None:
        raise Unopened("This backup does not say what it is of; no lastgood made it.")
    return manifest


def _read_manifest(content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise Unopened(f"This backup does not say what it is of ({error}); no lastgood made it.") from error
    if manifest.version > FORMAT:
        raise ConfigError(
            f"The backup was made by lastgood {manifest.program} in a newer form (version {manifest.version}); "
            "restore it with that version."
        )
    return manifest


def _place(name: str, draft: Path) -> Path:
    """Where an entry belongs: one of the few names that a backup has, and nowhere outside."""
    folder, _, base = name.rpartition("/")
    if not base or base.startswith(".") or (folder and folder + "/" not in (BESIDE, ASIDE + "/")):
        raise Unopened(f"This backup holds {name!r}, which no backup of a hub has; no lastgood made it.")
    if not folder and base not in (DATABASE_NAME, KEY):
        raise Unopened(f"This backup holds {name!r}, which this version does not know; use a newer lastgood.")
    if folder == ASIDE:
        (draft / ASIDE).mkdir(mode=0o700, exist_ok=True)
        return draft / ASIDE / base
    return draft / base


def _write(content: IO[bytes], path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123 - the descriptor carries flags and mode
        shutil.copyfileobj(content, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_filled(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(path.name != _OF_THE_DISK for path in folder.iterdir())):
        raise ConfigError(f"{folder} is not an empty folder; choose another with --data-dir, or move it away.")


@contextmanager
def _draft_in(folder: Path) -> Iterator[Path]:
    """A private folder beside what is made or read, gone at the end; what a killed one left behind goes as well."""
    draft = folder / f"{_DRAFT}{os.urandom(8).hex()}"
    try:
        for left in folder.glob(f"{_DRAFT}*"):
            with _locked(left) as is_ours:
                if is_ours:
                    shutil.rmtree(left, ignore_errors=True)
        draft.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"Nothing can be written to {folder} ({error.strerror}); make room there, or run this as its owner."
        ) from error
    try:
        with _locked(draft):
            yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _locked(draft: Path) -> Iterator[bool]:
    """Whether nobody else works in this folder; while we do, nobody else is told so."""
    handle = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)
