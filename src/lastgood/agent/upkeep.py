"""The upkeep of a repository: check, unlock, forget, prune.

A bench comes in, a result goes out. The one rule: what deletes goes by the credentials that may delete, where there
are such, and says afterwards what is really gone.
"""

from __future__ import annotations

from lastgood.agent.bench import Bench
from lastgood.agent.ending import Cannot, Result, lines_of, of_diagnosis, well
from lastgood.tools.restic import survey, upkeep
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.orders import ForgetOrder
from lastgood.tools.restic.work import Worked


async def check(bench: Bench) -> Result:
    """Look for damage; with a subset, read that much of the data."""
    subset = bench.work.check_subset
    done = await upkeep.check(bench.restic, bench.place, bench.limits(), subset)
    read = f", {subset} of the data read" if subset else ", the data itself not read"
    return _worked(done, f"No errors were found{read}.", check_subset=subset)


async def prune(bench: Bench) -> Result:
    """Remove the data that no snapshot needs any more."""
    return _worked(
        await upkeep.prune(bench.restic, bench.admin_place, bench.limits()),
        "What no snapshot needs any more was removed.",
    )


async def unlock(bench: Bench) -> Result:
    """Remove stale locks; what is left is listed and reported."""
    before = await bench.ask(bench.restic.locks(bench.place))
    done = await bench.ask(bench.restic.unlock(bench.place))
    after = await bench.ask(bench.restic.locks(bench.place))
    await bench.report(survey.locks(bench.access.id, after, bench.now()))
    log = [f"before: {_lock(lock.id, lock.hostname, lock.pid)}" for lock in before]
    log += [f"left: {_lock(lock.id, lock.hostname, lock.pid)}" for lock in after]
    if not done.removed and not after:
        return well("There was no lock.", log)
    gone = _counted(len(done.removed), "stale lock")
    if after:
        return well(
            f"{gone} removed; {len(after)} left, whose processes live or which are younger than 30 minutes.", log
        )
    return well(f"{gone} removed; none is left.", log)


async def forget(bench: Bench) -> Result:
    """Thin out the snapshots of the source by its retention."""
    order = bench.ordered()
    if order.keep is None:
        raise Cannot(f"{order.name} has no retention; say first what to keep of it.", "no_retention")
    wish = ForgetOrder(host=order.restic_host, tag=order.tag, keep=order.keep)
    done = await upkeep.forget(bench.restic, bench.admin_place, wish, bench.limits())
    log = lines_of(done.log)
    if done.found.cause is not Cause.OK:
        return of_diagnosis(done.found, log)
    left = _counted(done.remaining or 0, "snapshot")
    if not done.removed:
        return well(f"Nothing was old enough to forget; {left} kept.", log)
    return well(f"{_counted(len(done.removed), 'snapshot')} forgotten, {left} kept; prune frees their space.", log)


def _worked(done: Worked, reason: str, **more: object) -> Result:
    log = lines_of(done.log)
    if done.found.cause is Cause.OK:
        return well(reason, log, **more)
    return of_diagnosis(done.found, log, forced=done.forced, **more)


def _lock(lock_id: str, hostname: str | None, pid: int | None) -> str:
    return f"{lock_id[:8]} of {hostname or 'an unknown host'}, process {'unknown' if pid is None else pid}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
