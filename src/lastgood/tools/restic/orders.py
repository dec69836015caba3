"""What is asked of restic beside a backup: which data to check, what to forget, what to restore, and their arguments.

Wishes come in and are refused with a sentence if restic could not bear them; argument lists go out. The one rule:
``forget`` never goes out without a policy, a tag and a host, for without them it speaks for everybody's snapshots.
Outside format: flags of restic 0.14 to 0.19.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lastgood.errors import ConfigError
from lastgood.model.retention import Retention
from lastgood.tools.restic.command import RETRY_LOCK_SINCE
from lastgood.tools.restic.documents import Version

RETRY_LOCK_SECONDS = 600.0
MOST_GROUPS = 256
"""restic cuts a repository into so many parts at most for ``n/t``."""

_GROUP = re.compile(r"([1-9][0-9]{0,2})/([1-9][0-9]{0,2})")
_SHARE = re.compile(r"(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,4})?)%|[1-9][0-9]{0,11}[KMGT]?")
_WITHIN = re.compile(r"(?:[1-9][0-9]{0,4}[ymdh])+")
_SNAPSHOT = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOrder:
    """Thin out the snapshots that carry this tag and this host; all others are nobody's business here."""

    host: str
    tag: str
    keep: Retention

    def __post_init__(self) -> None:
        _check(bool(self.host), "forget needs the host whose snapshots it thins out; name it")
        _check(
            bool(self.tag) and "," not in self.tag, f"the tag {self.tag!r} cannot be used to forget by; name one tag"
        )
        check_keep(self.keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOrder:
    """A snapshot, or some paths of it, into a folder. The snapshot is named by its id."""

    snapshot_id: str
    target: str
    include: Sequence[str] = ()

    def __post_init__(self) -> None:
        _check(
            _SNAPSHOT.fullmatch(self.snapshot_id) is not None,
            f"{self.snapshot_id[:80]!r} is no snapshot's id; write at least its first eight characters",
        )
        _check(self.target.startswith("/"), f"the folder {self.target!r} is not absolute; begin it with a slash")
        for word in (self.target, *self.include):
            _check(word and "\0" not in word, "a path to restore is empty or holds a zero byte; leave it out")


def check_keep(keep: Retention) -> None:
    """Raises ConfigError for a policy that would keep nothing, or that restic could not read."""
    counts = (keep.last, keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.yearly)
    _check(not keep.is_empty, "the retention keeps nothing; set at least one of its numbers")
    _check(
        all(0 <= count <= 1_000_000 for count in counts), "a number of the retention is negative or absurd; mend it"
    )
    within = keep.within
    _check(
        within is None or _WITHIN.fullmatch(within) is not None,
        f"{within!r} is no span that restic reads; write it as 14d or 2y5m7d3h",
    )


def check_subset(subset: str) -> str:
    """The subset of the data to read, as restic writes it. Raises ConfigError for anything else."""
    found = _GROUP.fullmatch(subset)
    if found is not None:
        part, parts = int(found[1]), int(found[2])
        _check(
            part <= parts <= MOST_GROUPS, f"{subset} is no part of a whole; write 1/5 to 5/5, with at most 256 parts"
        )
    else:
        _check(
            _SHARE.fullmatch(subset) is not None and subset.rstrip("%0.") != "",
            f"{subset[:40]!r} is no part of the data; write it as 1/5, 10% or 5G",
        )
    return subset


def check(subset: str | None, version: Version) -> list[str]:
    """``restic check``; plain it sees lost packs only, with a subset it reads that much of the data."""
    reading = [] if subset is None else [f"--read-data-subset={check_subset(subset)}"]
    return ["check", "--json", *reading, *retry_lock(version)]


def forget(order: ForgetOrder, version: Version, *, dry_run: bool) -> list[str]:
    """``restic forget``. The tag holds the source's id, so it alone says which snapshots are meant; grouping by
    host keeps a source together whose name, and with it its second tag, or whose paths have changed."""
    keep = order.keep
    arguments = ["forget", "--json", f"--tag={order.tag}", f"--host={order.host}", "--group-by=host"]
    counts = {
        "last": keep.last,
        "hourly": keep.hourly,
        "daily": keep.daily,
        "weekly": keep.weekly,
        "monthly": keep.monthly,
        "yearly": keep.yearly,
    }
    arguments += [f"--keep-{name}={count}" for name, count in counts.items() if count]
    if keep.within:
        arguments.append(f"--keep-within={keep.within}")
    return [*arguments, "--dry-run", "--no-lock"] if dry_run else [*arguments, *retry_lock(version)]


def prune(version: Version) -> list[str]:
    """``restic prune``; exclusive."""
    return ["prune", *retry_lock(version)]


def restore(order: RestoreOrder, version: Version) -> list[str]:
    """``restic restore``; what was written is compared with the snapshot's hashes afterwards."""
    arguments = ["restore", "--json", f"--target={order.target}", "--verify", *retry_lock(version)]
    return [*arguments, *(f"--include={path}" for path in order.include), order.snapshot_id]


def retry_lock(version: Version, seconds: float = RETRY_LOCK_SECONDS) -> list[str]:
    """Wait for a lock, where restic can; for older releases whoever calls tries again."""
    return [f"--retry-lock={round(seconds)}s"] if version >= RETRY_LOCK_SINCE else []


def _check(holds: object, problem: str) -> None:
    if not holds:
        raise ConfigError(problem)
