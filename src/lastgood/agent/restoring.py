"""A restore: a snapshot, or some paths of it, into a new folder that this host's policy allows.

A bench comes in, a result goes out, with the line by which anybody could do the same without us. The one rule:
nothing that is there already is written over, and what was restored is counted on disk, not taken from restic's
word.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path

from lastgood.agent.bench import Bench
from lastgood.agent.ending import Cannot, Result, lines_of, of_diagnosis, well
from lastgood.tools.restic import upkeep
from lastgood.tools.restic.causes import Cause, sentence
from lastgood.tools.restic.documents import Snapshot
from lastgood.tools.restic.orders import RestoreOrder
from lastgood.wire.frames import RestoreWish

LATEST = "latest"


async def restore(bench: Bench) -> Result:
    """Restore what was wished for."""
    wish = bench.work.restore
    if wish is None:
        raise Cannot("The wish for a restore does not say what to restore; ask again.", "bad_wish")
    target = await asyncio.to_thread(bench.policy.restore_target, wish.target)
    place = bench.place
    snapshot = _chosen(wish, await bench.ask(bench.restic.snapshots(place)), bench)
    order = RestoreOrder(snapshot_id=snapshot.id, target=str(target), include=wish.include)
    bench.journal.note(f"the same by hand: {by_hand(place.label, order)}")
    await asyncio.to_thread(_make, target)
    done = await upkeep.restore(bench.restic, place, order, bench.limits(), bench.tell)
    files, size, is_empty = await asyncio.to_thread(_measure, target)
    more = {"snapshot_id": snapshot.id, "files": files, "size_bytes": size}
    log = lines_of(done.log)
    if done.found.cause is not Cause.OK:
        return of_diagnosis(done.found, log, forced=done.forced, **more)
    if is_empty:
        reason = sentence(Cause.NOTHING_RESTORED, place.label)
        raise Cannot(reason, Cause.NOTHING_RESTORED.value)
    counted = f"{files:,} {'file' if files == 1 else 'files'}, {size:,} bytes,"
    return well(f"{counted} restored into {target}.", log, **more)


def may_try_again(wish: RestoreWish | None) -> bool:
    """Whether nothing was written yet: restic 0.14 fails on what an earlier try has left."""
    folder = Path(wish.target) if wish is not None else None
    try:
        return folder is None or not folder.exists() or not any(folder.iterdir())
    except OSError:
        return False


def by_hand(repository: str, order: RestoreOrder) -> str:
    """The line of a shell that does the same; the password is asked for, for it stands in no line."""
    words = ["restic", "-r", repository, "restore", order.snapshot_id, "--target", order.target]
    for path in order.include:
        words += ["--include", path]
    return shlex.join(words)


def _chosen(wish: RestoreWish, there: list[Snapshot], bench: Bench) -> Snapshot:
    """The snapshot that is meant; Cannot if none is, or several are."""
    if wish.snapshot != LATEST:
        found = [one for one in there if one.is_named(wish.snapshot)]
    else:
        tag = bench.ordered().tag
        dated = [(one.started_at, one) for one in there if tag in one.tags and one.started_at is not None]
        # A snapshot from a clock that was ahead would stay the latest for ever.
        dated = [pair for pair in dated if pair[0] <= bench.now()] or dated
        found = [max(dated, key=lambda pair: (pair[0], pair[1].id))[1]] if dated else []
    if len(found) == 1:
        return found[0]
    what = "No snapshot" if not found else "More than one snapshot"
    raise Cannot(
        f"{what} of the repository is meant by {wish.snapshot[:80]!r}; list them and name one.", "no_snapshot"
    )


def _make(target: Path) -> None:
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Cannot(f"The folder {target} cannot be made: {error.strerror}; name another.", "bad_target") from error


def _measure(target: Path) -> tuple[int, int, bool]:
    """How many files lie below the folder, their bytes, and whether not even a folder is there."""
    files = size = folders = 0
    for folder, below, names in os.walk(target):
        folders += len(below)
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - millions of them
            except OSError:
                continue
            files += 1
    return files, size, files == 0 and folders == 0
