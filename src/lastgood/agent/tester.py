"""Looks into a repository because somebody waits for the answer, and says what is there.

A ``LookNow`` that names who waits comes in, a ``Tested`` goes out over the link. The one rule: it keeps nothing: no
report, no access, no credentials; a few at once, each with a deadline shorter than the patience of who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from lastgood.agent.places import place
from lastgood.clock import Clock
from lastgood.errors import ConfigError, LastgoodError
from lastgood.model.repository import Probe
from lastgood.tools.restic import survey
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import Frame, RepositoryAccess, Tested

log = structlog.get_logger(__name__)

AT_ONCE = 4
SECONDS = 45.0


class Tester:
    """``tell`` sends a word that may be lost; ``check`` raises ConfigError for what must not be looked into."""

    def __init__(
        self,
        restic: Restic,
        tell: Callable[[Frame], None],
        clock: Clock,
        seconds: float = SECONDS,
        check: Callable[[RepositoryAccess], object] = lambda access: None,
    ) -> None:
        self._restic = restic
        self._tell = tell
        self._clock = clock
        self._seconds = seconds
        self._check = check
        self._looking: set[asyncio.Task[None]] = set()

    def begin(self, answer_to: str, access: RepositoryAccess) -> None:
        """Look, and answer when it is done."""
        if len(self._looking) >= AT_ONCE:
            message = f"This agent looks into {AT_ONCE} repositories for somebody already; ask again in a moment."
            self._tell(Tested(answer_to=answer_to, probe=Probe.UNKNOWN, message=message))
            return
        try:
            self._check(access)
        except ConfigError as error:
            self._tell(Tested(answer_to=answer_to, probe=Probe.UNKNOWN, message=str(error)))
            return
        task = asyncio.create_task(self._answer(answer_to, access))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def stop(self) -> None:
        """End what is under way."""
        looking = list(self._looking)
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    async def _answer(self, answer_to: str, access: RepositoryAccess) -> None:
        self._tell(await tried(self._restic, access, answer_to, self._clock, self._seconds))


async def tried(
    restic: Restic, access: RepositoryAccess, answer_to: str, clock: Clock, seconds: float = SECONDS
) -> Tested:
    """What is there, or in words why nobody can tell; in time, and whatever is wrong with it."""
    try:
        async with asyncio.timeout(seconds):
            seen = await _look(restic, access, answer_to, clock)
    except TimeoutError:
        message = f"The repository did not answer within {seconds:g} s; check the network and its address."
        seen = Tested(answer_to=answer_to, probe=Probe.UNREACHABLE, message=message)
    except LastgoodError as error:
        seen = Tested(answer_to=answer_to, probe=Probe.UNKNOWN, message=str(error))
    log.info("repository tried out", repository=access.name, probe=seen.probe.value)
    return seen


async def _look(restic: Restic, access: RepositoryAccess, answer_to: str, clock: Clock) -> Tested:
    there = place(access)
    probe = await restic.probe(there)
    message = probe.message or None
    seen = Tested(answer_to=answer_to, probe=Probe(probe.status), message=message, identity=probe.repository_id)
    if seen.probe is not Probe.READY:
        return seen
    try:
        seen = msgspec.structs.replace(seen, snapshots=len(await restic.snapshots(there)))
        locks = survey.locks(access.id, await restic.locks(there), clock())
    except LastgoodError as error:
        return msgspec.structs.replace(seen, message=str(error))
    return msgspec.structs.replace(seen, locks=locks.locks)
