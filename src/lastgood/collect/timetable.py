"""Runs the probes of one collector, each on its own interval, and remembers how each of them fares.

Comes in: a ``Collector``. Goes out: its reports to ``tell``, and ``ProbeFacts`` for pages and metrics. Used by the
hub and by the stand-alone exporters. The one rule: a probe that fails, hangs or breaks costs itself alone; what was
told before stays, and it is asked less and less often.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from lastgood.clock import Clock
from lastgood.collect.collector import Collector, Probe
from lastgood.errors import CollectError, LastgoodError, StoreError
from lastgood.model.collected import Report

Tell = Callable[[Sequence[Report]], Awaitable[None]]

JITTER = 0.05
"""By this part of its interval a round may come earlier or later, so that servers are not asked in step."""

LEAST_PAUSE = 1.0
"""Seconds from the end of a round to the next one, whoever wants it."""

MOST_DOUBLINGS = 16
LONGEST_PAUSE = timedelta(minutes=5)
LONGEST_REFUSED = timedelta(hours=1)
"""Who says no until somebody acts (a wrong token) is asked no more often than that: servers lock out for it."""

STALE_AFTER = 3
"""Intervals without a success after which a probe counts as failing for long."""

BEGIN_AGAIN_SECONDS = 5.0
END_SECONDS = 10.0

_log = structlog.get_logger("lastgood.collect")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFacts:
    """How the rounds of one probe went, counted since the process began.

    ``success`` is None before the first round has ended; ``failing_since`` when the first of the newest failures
    began, ``message`` one sentence on the newest one.
    """

    interval: timedelta
    success: bool | None = None
    took_seconds: float | None = None
    ended_at: datetime | None = None
    succeeded_at: datetime | None = None
    failing_since: datetime | None = None
    message: str | None = None
    rounds: int = 0
    failures: int = 0
    in_a_row: int = 0
    """Failures since the last success."""

    def is_failing_long(self, now: datetime) -> bool:
        """Whether nothing was learned for more than three of its intervals."""
        return self.failing_since is not None and now - self.failing_since > STALE_AFTER * self.interval


class Timetable:
    """``tell`` takes reports as they come; a round is over when all it told was taken. ``draw`` answers 0 to 1."""

    def __init__(
        self, collector: Collector, clock: Clock, tell: Tell, draw: Callable[[], float] = random.random
    ) -> None:
        self._collector = collector
        self._clock = clock
        self._tell = tell
        self._draw = draw
        self._facts = {probe.name: ProbeFacts(interval=probe.interval) for probe in collector.probes}

    @property
    def facts(self) -> Mapping[str, ProbeFacts]:
        """By the names of the probes."""
        return self._facts

    async def run(self) -> None:
        """Until cancelled; the collector is ended before this returns."""
        await self._begin()
        rounds = [
            asyncio.create_task(self._go_on(probe), name=f"{self._collector.name}/{probe.name}")
            for probe in self._collector.probes
        ]
        try:
            await asyncio.gather(*rounds)
        finally:
            for task in rounds:
                task.cancel()
            await asyncio.gather(*rounds, return_exceptions=True)
            await self._end()

    async def _begin(self) -> None:
        """Counters that cannot be read are waited for: beginning without them would lose them."""
        while True:
            try:
                return await self._collector.begin()
            except LastgoodError as error:
                _log.error("a collector cannot begin yet", collector=self._collector.name, error=str(error))
                await asyncio.sleep(BEGIN_AGAIN_SECONDS)

    async def _end(self) -> None:
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._collector.end()
        except (LastgoodError, TimeoutError) as error:
            _log.warning("a collector did not end in order", collector=self._collector.name, error=str(error))

    async def _go_on(self, probe: Probe) -> None:
        while True:
            probe.wanted.clear()
            pause = await self._round(probe)
            if self._facts[probe.name].in_a_row:
                await asyncio.sleep(pause)  # who does not answer is not asked sooner, whoever wants it
                continue
            await asyncio.sleep(min(LEAST_PAUSE, pause))
            try:
                async with asyncio.timeout(max(pause - LEAST_PAUSE, 0.0)):
                    await probe.wanted.wait()
            except TimeoutError:
                continue

    async def _round(self, probe: Probe) -> float:
        """One round; answers how many seconds to wait before the next."""
        began_at, began = self._clock(), time.monotonic()
        error: Exception | None = None
        try:
            async with asyncio.timeout(probe.deadline.total_seconds()):
                async with aclosing(probe.collect()) as reports:  # type: ignore[type-var]
                    async for report in reports:
                        await self._tell([report])
        except TimeoutError:
            error = CollectError(f"It took longer than {probe.deadline.total_seconds():g} s and was broken off.")
        except (CollectError, StoreError) as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - whatever one probe does, the others go on
            _log.exception("a probe broke", collector=self._collector.name, probe=probe.name)
            error = CollectError(
                f"It broke in a way that is lastgood's fault ({type(caught).__name__}); its log says where."
            )
        self._note(probe, error, began_at, time.monotonic() - began)
        return self._pause(probe, error)

    def _note(self, probe: Probe, error: Exception | None, began_at: datetime, took: float) -> None:
        before = self._facts[probe.name]
        after = replace(
            before, took_seconds=took, ended_at=self._clock(), rounds=before.rounds + 1, success=error is None
        )
        if error is None:
            after = replace(after, succeeded_at=after.ended_at, failing_since=None, message=None, in_a_row=0)
        else:
            after = replace(
                after,
                failing_since=before.failing_since or began_at,
                message=str(error),
                failures=before.failures + 1,
                in_a_row=before.in_a_row + 1,
            )
        self._facts[probe.name] = after
        if error is not None and before.message != after.message:
            # A server that is away fails all its probes with one reason, which is said once.
            others = (one for name, one in self._facts.items() if name != probe.name)
            log = _log.debug if any(one.message == after.message for one in others) else _log.warning
            log("a probe failed", collector=self._collector.name, probe=probe.name, reason=str(error))
        elif error is None and before.in_a_row:
            _log.info("a probe is well again", collector=self._collector.name, probe=probe.name)

    def _pause(self, probe: Probe, error: Exception | None) -> float:
        seconds = probe.interval.total_seconds()
        if error is not None:
            longest = LONGEST_PAUSE if getattr(error, "retry", True) else LONGEST_REFUSED
            doublings = self._facts[probe.name].in_a_row - (1 if getattr(error, "retry", True) else 0)
            longer = seconds * 2.0 ** min(doublings, MOST_DOUBLINGS)
            seconds = min(longer, max(longest.total_seconds(), seconds))
        return seconds * (1 + JITTER * (2 * self._draw() - 1))
