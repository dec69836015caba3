"""Snapshot manifests as ``kopia snapshot list --json`` prints them, line for line, from what a source did.

Streamed: a source at a time. 300,000 lines must leave at 30 MB/s and more, so the common manifest is one f-string.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from .moments import rfc3339
from .odd import FILES, strange
from .plan import CHECKPOINT, FATAL, INCOMPLETE, WARNING, WITHOUT_MANIFEST, Attempt, Source
from .retention import DEFAULTS, reasons
from .text import go

MOST_ERRORS = 10  # that a summary names
Reading = tuple[Attempt, str, int]  # the attempt, how this manifest ended, and when


@dataclass(frozen=True)
class Print:
    """How a release and a call print manifests."""

    zone_minutes: int = 0
    reasons: bool = True
    storage: bool = False


def readings(source: Source) -> list[Reading]:
    """The manifests of a source in the order of their start, then end."""
    found: list[Reading] = []
    for attempt in source.attempts:
        found += [(attempt, CHECKPOINT, end) for end in attempt.checkpoints]
        if attempt.ended not in WITHOUT_MANIFEST:
            found.append((attempt, attempt.ended, attempt.end))
    found.sort(key=lambda reading: (reading[0].start, reading[2]))
    return found


def keep_of(source: Source) -> dict[str, int]:
    own = (source.policy or {}).get("retention", {})
    return DEFAULTS | {name: value for name, value in own.items() if name.startswith("keep")}


def kept(source: Source) -> list[tuple[Reading, list[str]]]:
    found = readings(source)
    why = reasons([(attempt.start, ended not in INCOMPLETE) for attempt, ended, _ in found], keep_of(source))
    return list(zip(found, why, strict=True))


def identity(source: Source, attempt: Attempt, end: int) -> str:
    """The manifest's id; another one once it was pinned or described."""
    told = f"{source.name}\0{attempt.start}\0{end}\0{attempt.description}\0{','.join(attempt.pins)}"
    return blake2b(told.encode(), digest_size=16).hexdigest()


def root_of(source: Source, attempt: Attempt) -> str:
    kind = "" if attempt.odd in FILES else "k"
    return kind + blake2b(f"{source.name}\0{attempt.root}".encode(), digest_size=16).hexdigest()


def lines(source: Source, how: Print) -> Iterator[str]:
    """One line for each manifest, oldest first."""
    where = go({"host": source.host, "userName": source.user, "path": source.path})
    base = go(source.path.replace("\\", "/").rstrip("/").rpartition("/")[2])
    for number, (reading, why) in enumerate(kept(source)):
        attempt = reading[0]
        joined = '","'.join(why)
        tail = f',"retentionReason":["{joined}"]' if why and how.reasons else ""
        if attempt.odd or attempt.tags or attempt.pins or how.storage or attempt.failed or attempt.ignored:
            made = manifest(source, reading, how.zone_minutes)
            if how.storage:
                made = _with_storage(made, number)
            yield go(made)[:-1] + tail + "}"
        else:
            yield _plain(source, reading, how.zone_minutes, where, base) + tail + "}"


def _plain(source: Source, reading: Reading, zone: int, where: str, base: str) -> str:
    attempt, ended, end = reading
    start_text = rfc3339(attempt.start, zone)
    incomplete = f',"incomplete":"{ended}"' if ended in INCOMPLETE else ""
    stats = _stats(attempt, ended)
    description = go(attempt.description) if attempt.description else '""'
    counted = ",".join(f'"{name}":{value}' for name, value in stats.items())
    return (
        f'{{"id":"{identity(source, attempt, end)}","source":{where},"description":{description},'
        f'"startTime":"{start_text}","endTime":"{rfc3339(end, zone)}","stats":{{{counted}}}{incomplete},'
        f'"rootEntry":{{"name":{base},"type":"d","mode":"0755","mtime":"{start_text}","uid":1000,"gid":1000,'
        f'"obj":"{root_of(source, attempt)}","summ":{{"size":{attempt.size},"files":{attempt.files},'
        f'"symlinks":{attempt.dirs % 7},"dirs":{attempt.dirs},"maxTime":"{start_text}"{incomplete},"numFailed":0}}}}'
    )


def _stats(attempt: Attempt, ended: str) -> dict[str, int]:
    if ended == CHECKPOINT:
        total = excluded = read = cached = dirs = ignored = failed = 0
    else:
        total, excluded, read, dirs = attempt.size + 4096 * attempt.dirs, 4096, attempt.files // 50, attempt.dirs
        cached, ignored, failed = attempt.files - read, attempt.ignored, attempt.failed
    return {
        "totalSize": total,
        "excludedTotalSize": excluded,
        "fileCount": read,
        "cachedFiles": cached,
        "nonCachedFiles": read,
        "dirCount": dirs,
        "excludedFileCount": 1 if excluded else 0,
        "excludedDirCount": 0,
        "ignoredErrorCount": ignored,
        "errorCount": failed,
    }


def manifest(source: Source, reading: Reading, zone: int = 0) -> dict[str, Any]:
    """The same as an object, in the order in which it is printed."""
    attempt, ended, end = reading
    incomplete = {"incomplete": ended} if ended in INCOMPLETE else {}
    start_text = rfc3339(attempt.start, zone)
    errors = [
        {"path": f"d{number % 5}/f{number}", "error": "permission denied"}
        for number in range(min(MOST_ERRORS, attempt.failed + attempt.ignored))
    ]
    summary: dict[str, Any] = {
        "size": attempt.size,
        "files": attempt.files,
        "symlinks": attempt.dirs % 7,
        "dirs": attempt.dirs,
        "maxTime": start_text,
        **incomplete,
        "numFailed": attempt.failed if ended == FATAL or ended in INCOMPLETE else 0,
    }
    if attempt.ignored and ended in (WARNING, FATAL):
        summary["numIgnoredErrors"] = attempt.ignored
    if errors:
        summary["errors"] = errors
    made: dict[str, Any] = {
        "id": identity(source, attempt, end),
        "source": {"host": source.host, "userName": source.user, "path": source.path},
        "description": attempt.description,
        "startTime": start_text,
        "endTime": rfc3339(end, zone),
        "stats": _stats(attempt, ended),
        **incomplete,
        "rootEntry": {
            "name": source.path.replace("\\", "/").rstrip("/").rpartition("/")[2],
            "type": "d",
            "mode": "0755",
            "mtime": start_text,
            "uid": 1000,
            "gid": 1000,
            "obj": root_of(source, attempt),
            "summ": summary,
        },
    }
    if attempt.tags:
        made["tags"] = dict(sorted(attempt.tags.items()))
    if attempt.pins:
        made["pins"] = sorted(attempt.pins)
    return strange(attempt.odd, made) if attempt.odd else made


def _with_storage(made: dict[str, Any], number: int) -> dict[str, Any]:
    size = ((made["rootEntry"] or {}).get("summ") or {}).get("size", 0)
    new = size if number == 0 else size // 100

    def told(much: int) -> dict[str, int]:
        return {
            "objectBytes": much,
            "originalContentBytes": much * 9 // 10,
            "packedContentBytes": much * 7 // 10,
            "fileObjects": much // 1_000_000,
            "dirObjects": much // 10_000_000,
            "contents": much // 900_000,
        }

    pins = made.pop("pins", None)
    made["storageStats"] = {"newData": told(new), "runningTotal": told(size + number * (size // 100))}
    return made | ({"pins": pins} if pins else {})
