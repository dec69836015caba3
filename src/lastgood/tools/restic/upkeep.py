"""Check, prune, forget and restore: one attempt each, with what it proved.

A place and an order come in, results with their cause go out; nothing raises for what restic says. The one rule: no
ending is believed without evidence. Damage is told only where the store could be read; what was forgotten is listed
again afterwards, because 0.18 tells success on a store that removed nothing. Outside program: restic 0.14 to 0.19.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from lastgood.errors import CollectError, LastgoodError
from lastgood.tools.restic import documents, orders
from lastgood.tools.restic.backup import ProgressSink
from lastgood.tools.restic.causes import Cause, Diagnosis, disturbance, sentence
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.driver import Restic
from lastgood.tools.restic.lines import HeadTail
from lastgood.tools.restic.orders import ForgetOrder, RestoreOrder
from lastgood.tools.restic.work import Worked

_NAMED = 20
"""So many snapshots are named in a log by their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long an attempt may take, and the event that ends it."""

    cancel: asyncio.Event
    deadline_after: float


async def check(restic: Restic, place: Place, limits: Limits, subset: str | None = None) -> Worked:
    """Look for damage. DAMAGED only if nothing else kept restic from reading."""
    arguments = orders.check(subset, await restic.version())
    done = await restic.work(place, arguments, cancel=limits.cancel, deadline_after=limits.deadline_after)
    disturbed = disturbance(done.errors) if done.found.cause is Cause.DAMAGED else None
    if disturbed is None:
        return done
    return replace(done, found=_diagnosis(disturbed, place, done.found.message))


async def prune(restic: Restic, place: Place, limits: Limits) -> Worked:
    """Remove the data that no snapshot needs."""
    arguments = orders.prune(await restic.version())
    return await restic.work(place, arguments, cancel=limits.cancel, deadline_after=limits.deadline_after)


async def restore(
    restic: Restic, place: Place, order: RestoreOrder, limits: Limits, on_progress: ProgressSink | None = None
) -> Worked:
    """Write a snapshot into a folder."""
    return await restic.work(
        place,
        orders.restore(order, await restic.version()),
        on_progress=on_progress,
        cancel=limits.cancel,
        deadline_after=limits.deadline_after,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a retention did: ids that are gone, how many snapshots of the source are left, and a log."""

    found: Diagnosis
    removed: tuple[str, ...] = ()
    remaining: int | None = None
    log: HeadTail


async def forget(restic: Restic, place: Place, order: ForgetOrder, limits: Limits) -> Forgotten:
    """Thin out the snapshots of one source: a dry run first, then for real, then a look at what is left."""
    work = _Forgetting(restic, place, order, limits)
    try:
        return await work.run()
    except LastgoodError as error:
        # A listing that cannot be had says nothing about what is there.
        cause = Cause(error.cause) if isinstance(error, CollectError) and error.cause else Cause.OTHER
        return work.ended(Diagnosis(cause=cause, message="", sentence=str(error)))


class _Forgetting:
    def __init__(self, restic: Restic, place: Place, order: ForgetOrder, limits: Limits) -> None:
        self._restic = restic
        self._place = place
        self._order = order
        self._limits = limits
        self._began = time.monotonic()
        self._log = HeadTail()

    async def run(self) -> Forgotten:
        keep, remove, found = await self._forget(dry_run=True)
        if found.cause is not Cause.OK:
            return self.ended(found)
        self._log.add(f"dry run: {len(keep)} kept, {len(remove)} to forget")
        if not keep and remove:
            return self.ended(_diagnosis(Cause.NOTHING_LEFT, self._place))
        if not remove:
            return self.ended(found, remaining=len(keep))
        self._log.add(f"to forget: {_named(remove)}")
        _, _, found = await self._forget(dry_run=False)
        if found.cause is Cause.CANCELLED or self._limits.cancel.is_set():
            return self.ended(_diagnosis(Cause.CANCELLED, self._place))
        return await self._compare(remove, found)

    async def _compare(self, remove: tuple[str, ...], found: Diagnosis) -> Forgotten:
        """What is gone says whether it worked; what restic said explains why not."""
        there = await self._restic.snapshots(self._place)
        ids = {snapshot.id for snapshot in there}
        gone = tuple(one for one in remove if one not in ids)
        left = len(remove) - len(gone)
        mine = sum(self._order.tag in one.tags and one.hostname == self._order.host for one in there)
        self._log.add(f"afterwards: {len(gone)} of {len(remove)} are gone, {mine} snapshots are left")
        if left and (found.cause in (Cause.OK, Cause.STORE_CREDENTIALS, Cause.UNREADABLE_SOURCE, Cause.OTHER)):
            found = _diagnosis(Cause.NOT_REMOVED, self._place, found.message)
        elif not left:
            found = Diagnosis(cause=Cause.OK, message="", sentence="")
        return self.ended(found, removed=gone, remaining=mine)

    async def _forget(self, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[str, ...], Diagnosis]:
        arguments = orders.forget(self._order, await self._restic.version(), dry_run=dry_run)
        left = max(0.1, self._limits.deadline_after - (time.monotonic() - self._began))
        answer, errors, found = await self._restic.document(
            self._place, arguments, cancel=self._limits.cancel, deadline_after=left
        )
        for line in errors.splitlines():
            if line.strip():
                self._log.add(line.strip())
        if found.cause is not Cause.OK:
            return (), (), found
        return *documents.forget_plan(answer), found

    def ended(self, found: Diagnosis, removed: tuple[str, ...] = (), remaining: int | None = None) -> Forgotten:
        return Forgotten(found=found, removed=removed, remaining=remaining, log=self._log)


def _named(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(one[:8] for one in ids[:_NAMED]) + more


def _diagnosis(cause: Cause, place: Place, message: str = "") -> Diagnosis:
    return Diagnosis(cause=cause, message=message, sentence=sentence(cause, place.label, message))
