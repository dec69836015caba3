"""A backup, and the repository it goes into: looked at first, made if that is allowed.

A bench comes in, a result goes out; ``making`` runs an init of its own and reports it. The one rule: a repository is
made only where restic's probe says cleanly that nothing is there, and never where one was seen before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lastgood.agent.bench import Bench
from lastgood.agent.ending import Cannot, Result, well
from lastgood.model.job import Outcome, Run
from lastgood.model.repository import Probe
from lastgood.tools.restic.backup import BackupResult
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import BackupOrder
from lastgood.tools.restic.survey import probed
from lastgood.wire.frames import Probed

Making = Callable[[], Awaitable[Run]]
"""Makes the repository, as a run of its own."""

HasOpened = Callable[[str], Awaitable[bool]]


async def back_up(bench: Bench, making: Making, has_opened: HasOpened) -> Result:
    """Save the paths of the order."""
    order = bench.ordered()
    await _ensure(bench, making, has_opened)
    tags = (order.tag, order.name) if order.name and "," not in order.name else (order.tag,)
    done = await bench.restic.backup(
        bench.place,
        BackupOrder(host=order.restic_host, paths=order.paths, tags=tags, excludes=order.excludes),
        on_progress=bench.tell,
        cancel=bench.work.cancel,
        deadline_after=max(0.1, bench.left()),
    )
    return _result(done)


async def initialise(bench: Bench) -> Result:
    """Make the repository; one that is there already is left as it is."""
    made = await bench.ask(bench.restic.init(bench.place))
    await bench.report(
        Probed(repository_id=bench.access.id, probe=Probe.READY, probed_at=bench.now(), identity=made.repository_id)
    )
    return well("The repository was made." if made.created else "The repository was there already.")


async def _ensure(bench: Bench, making: Making, has_opened: HasOpened) -> None:
    """A repository that opens, made now if it is missing and may be made. Raises Cannot otherwise."""
    access = bench.access
    probe = await bench.ask(bench.restic.probe(bench.place))
    # The orders may be old, of a time when nobody had seen the repository: what we saw ourselves counts as well.
    if probe.status == "missing" and access.initialise and not await has_opened(access.id):
        made = await making()
        if made.outcome is not Outcome.SUCCESS:
            raise Cannot(made.reason or "The repository could not be made.", made.cause or "other", made.outcome)
        return
    await bench.report(probed(access.id, probe, bench.now()))
    if probe.status not in ("ready", "unknown"):
        raise Cannot(probe.message, probe.cause.value)


def _result(done: BackupResult) -> Result:
    summary = done.summary
    added = None if summary is None else summary.added_bytes if summary.stored_bytes is None else summary.stored_bytes
    between = (f"… {done.log_lines_left_out} lines left out …",) if done.log_lines_left_out else ()
    return Result(
        outcome=Outcome(done.outcome),
        cause=None if done.cause is Cause.OK else done.cause.value,
        reason=done.reason,
        log=(*done.log_head, *between, *done.log_tail),
        forced=done.forced,
        more={
            "snapshot_id": done.snapshot_id,
            "size_bytes": None if summary is None else summary.total_bytes,
            "added_bytes": added,
            "files": None if summary is None else summary.total_files,
            "error_count": done.error_count,
            "dry_run": done.dry_run,
        },
    )
