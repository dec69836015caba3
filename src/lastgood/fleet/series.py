"""What a series of snapshots is known by, and how a source that was found by it is called. Pure.

Comes in: a series as a look lists it. Goes out: its key. The one rule: the key stays the same, whatever changes from
one snapshot to the next: tags and their edits, dates in paths, the names of containers.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lastgood.model.repository import SnapshotSeries
from lastgood.model.source import Series, Source

OURS = "lastgood ("
"""Begins ``archived_by`` where nobody but the hub itself archived a source."""

LONGEST_NAME = 200
OWNER = "lg:"
"""Begins the tag by which a source of lastgood marks its snapshots."""

_CONTAINER = re.compile(r"[0-9a-f]{12}")
_CHANGING = re.compile(
    r"(?<!\d)20\d{2}([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"  # a date,
    r"(?:[-_.T]?[0-2]\d[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d)?Z?)?(?!\d)"  # perhaps with a time
    r"|(?<!\d)1\d{9}(?!\d)"  # seconds since 1970
    r"|(?<=/tmp\.)\w{6,}"  # what mktemp makes
)
"""What in a path is another at each backup. Digests and UUIDs are not: they name volumes, which stay."""


def series_key(one: SnapshotSeries) -> Series:
    """What these snapshots are known by."""
    return _key(one.hostname, one.tags, one.paths)


@lru_cache(maxsize=16_384)  # each look asks for the same ones again
def _key(hostname: str, tags: tuple[str, ...], paths: tuple[str, ...]) -> Series:
    """What these snapshots are known by: host and paths, without what changes from one to the next.

    Tags tell apart what came from standard input, which has no path of its own, and an ``lg:`` tag stays in the key:
    it names an owner, even one that is not known here.
    """
    telling = tags if all(_is_standard_input(path) for path in paths) else _owner_tags(tags)
    return Series(
        hostname="*" if _CONTAINER.fullmatch(hostname) else hostname,
        paths=tuple(sorted({_CHANGING.sub("*", path) for path in paths})),
        tags=tuple(sorted(telling)),
    )


def is_ours_to_wake(source: Source) -> bool:
    """Whether the hub archived it by itself; a new snapshot takes it out of the archive again."""
    return source.archived_by is not None and source.archived_by.startswith(OURS)


def _owner_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(tag for tag in tags if tag.startswith(OWNER))


def _is_standard_input(path: str) -> bool:
    """A file in the root folder: restic gives standard input such a path."""
    return path == "/stdin" or ("/" not in path[1:] and "." in path[1:])


def name_of(key: Series) -> str:
    """What a source that was found by this is called, until somebody gives it a name."""
    paths = ", ".join(key.paths[:3])
    if len(key.paths) > 3:
        paths += f" and {len(key.paths) - 3} more"
    tags = [tag for tag in key.tags if not tag.startswith(OWNER)]
    if tags:
        paths = f"{paths} ({', '.join(tags)})"
    return (paths or "no paths")[:LONGEST_NAME]
