"""restic's whole answers: snapshots, sizes, locks, the repository's id, the program's version.

The bytes of a finished query come in, frozen values come out; an answer that cannot be read raises BadPayload
and is never taken for an empty one. A document may be one line of many megabytes, and 0.19.0 prints a progress
line before it. Outside format: ``--json`` of restic 0.14.0 to 0.19.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from types import UnionType
from typing import TypeVar, cast

import msgspec

from lastgood.errors import BadPayload
from lastgood.tools.restic import shapes
from lastgood.tools.restic.lines import without_escapes
from lastgood.tools.restic.times import believable_time

Shape = TypeVar("Shape")

_VERSION_TEXT = re.compile(r"^restic v?(\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)
_VERSION_NUMBER = re.compile(r"^v?(\d+)\.(\d+)(?:\.(\d+))?")
_LOCK_ID = re.compile(r"^[0-9a-f]{64}$")
_LINE_START = re.compile(rb"(?:^|[\n\r])(?:\x1b\[[0-9;]*[A-Za-z]|\s)*(?=[\[{n])")
_MOST_STARTS = 50

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One snapshot as the repository lists it.

    ``started_at`` is None if restic's time cannot be believed; ``ended_at`` and the sizes are None where the client
    that wrote the snapshot told none (before 0.17). ``original`` names the snapshot that a tag edit replaced.
    """

    id: str
    short_id: str
    started_at: datetime | None
    ended_at: datetime | None
    hostname: str | None
    username: str | None
    tags: tuple[str, ...]
    paths: tuple[str, ...]
    tree: str | None
    original: str | None
    size_bytes: int | None
    files: int | None
    added_bytes: int | None
    stored_bytes: int | None
    program_version: str | None

    def is_named(self, snapshot_id: str) -> bool:
        """Whether a run's ``snapshot_id`` means this one; 0.14 tells only the first eight characters."""
        return len(snapshot_id) >= 8 and self.id.startswith(snapshot_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawStats:
    """Bytes that the snapshots reference in the repository; what waits for a prune is not in it."""

    size_bytes: int
    uncompressed_bytes: int | None
    compression_ratio: float | None
    blobs: int
    snapshots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One lock in a repository; everything but the id is None if it was not asked for or could not be read."""

    id: str
    created_at: datetime | None = None
    exclusive: bool | None = None
    hostname: str | None = None
    username: str | None = None
    pid: int | None = None


def document(payload: bytes, shape: type[Shape] | UnionType, what: str) -> Shape:
    """The JSON document in ``payload``, also behind lines of text; ``what`` names it in the error."""
    problem = "it holds no JSON"
    for found, start in enumerate(_LINE_START.finditer(payload)):
        if found == _MOST_STARTS:
            break
        try:
            return cast(Shape, msgspec.json.decode(memoryview(payload)[start.end() :], type=shape))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # A wrong field deep in the right document tells more than the text line before it.
            if problem == "it holds no JSON" or isinstance(error, msgspec.ValidationError):
                problem = str(error)
    raise BadPayload(
        f"restic's answer to {what} cannot be read: {problem}; check that the restic binary is an official release"
    )


def snapshots(payload: bytes) -> list[Snapshot]:
    """Every snapshot of ``snapshots --json``, in restic's order; ``[]`` is a healthy empty repository."""
    found: list[shapes.Snapshot] | None = document(payload, list[shapes.Snapshot] | None, "snapshots")
    return [_snapshot(shape) for shape in found or ()]


def forget_plan(payload: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the snapshots that ``forget --json`` keeps and removes; both empty where nothing was chosen."""
    if not payload.strip():
        return (), ()
    groups = document(payload, list[shapes.ForgetGroup] | None, "forget") or []
    keep = tuple(snapshot.id for group in groups for snapshot in group.keep or ())
    return keep, tuple(snapshot.id for group in groups for snapshot in group.remove or ())


def raw_stats(payload: bytes) -> RawStats:
    """The sizes of ``stats --mode raw-data --json``."""
    shape = document(payload, shapes.Stats, "stats")
    if shape.total_size < 0:
        raise BadPayload("restic's answer to stats has a negative size; check the repository with restic check")
    return RawStats(
        size_bytes=shape.total_size,
        uncompressed_bytes=shape.total_uncompressed_size,
        compression_ratio=shape.compression_ratio,
        blobs=shape.total_blob_count,
        snapshots=shape.snapshots_count,
    )


def lock_ids(payload: bytes) -> list[str]:
    """The ids that ``list locks`` prints, one a line."""
    lines = without_escapes(payload.decode("utf-8", "replace")).split("\n")
    return [line.strip() for line in lines if _LOCK_ID.match(line.strip())]


def lock(lock_id: str, payload: bytes) -> Lock:
    """The lock that ``cat lock`` prints."""
    shape = document(payload, shapes.Lock, "cat lock")
    return Lock(
        id=lock_id,
        created_at=believable_time(shape.time),
        exclusive=shape.exclusive,
        hostname=shape.hostname,
        username=shape.username,
        pid=shape.pid,
    )


def repository_id(payload: bytes) -> str:
    """The id in ``cat config``: the true name of a repository, whatever its address."""
    found = document(payload, shapes.Config, "cat config").id
    if not found:
        raise BadPayload("restic's answer to cat config has no id; check the repository with restic check")
    return found


def version(payload: bytes) -> Version:
    """The version that ``version`` prints, as text (to 0.16) or JSON (from 0.17)."""
    text = without_escapes(payload.decode("utf-8", "replace")).strip()
    if text.startswith("{"):
        told = _VERSION_NUMBER.match(document(text.encode(), shapes.Version, "version").version)
    else:
        told = _VERSION_TEXT.search(text)
    if told is None:
        raise BadPayload(f"the program does not tell a restic version but {text[:80]!r}; check its path")
    return int(told[1]), int(told[2]), int(told[3] or 0)


def _snapshot(shape: shapes.Snapshot) -> Snapshot:
    told = shape.summary
    started_at = believable_time(shape.time)
    ended_at = None
    if told is not None:
        begun, ended_at = believable_time(told.backup_start), believable_time(told.backup_end)
        if begun is not None and ended_at is not None and ended_at < begun:
            ended_at = None
    return Snapshot(
        id=shape.id,
        short_id=shape.short_id or shape.id[:8],
        started_at=started_at,
        ended_at=ended_at,
        hostname=shape.hostname or None,
        username=shape.username or None,
        tags=tuple(shape.tags or ()),
        paths=tuple(shape.paths or ()),
        tree=shape.tree or None,
        original=shape.original or None,
        size_bytes=None if told is None else told.total_bytes_processed,
        files=None if told is None else told.total_files_processed,
        added_bytes=None if told is None else told.data_added,
        stored_bytes=None if told is None else told.data_added_packed,
        program_version=shape.program_version or None,
    )
