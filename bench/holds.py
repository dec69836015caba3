"""How long the event loop is held in one piece, and by what.

``Holds`` is a task on the loop that notes its own heartbeat and the largest gap between two, and a thread that looks
in while a gap lasts and keeps the stack of what holds the loop. Used by ``bench/fleet.py``; the number to reach is in
the design: never longer than 20 ms.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from types import TracebackType

TARGET_MS = 20.0
BEAT_SECONDS = 0.001
LOOK_SECONDS = 0.004


@dataclass(frozen=True, slots=True)
class Gap:
    """Between two heartbeats: wall time, CPU time of the loop's thread, CPU time of the whole process; in ms.

    What is neither its own nor another thread's was taken by other programs of the machine.
    """

    wall: float
    own: float
    process: float

    @property
    def ours(self) -> float:
        """What of the hold the hub may have made itself, whichever thread computed; at most this, for the database
        computes beside the interpreter and holds nobody."""
        return min(self.wall, self.process)


class Holds:
    """An async context: what happened to the loop while it was open. ``why`` also keeps the stacks of long holds."""

    def __init__(self, why: bool = False) -> None:
        self._why = why
        self._gaps: dict[float, Gap] = {}
        self._stacks: dict[float, tuple[str, ...]] = {}
        self._over = threading.Event()
        self._beat = 0.0
        self.seconds = self.cpu_seconds = 0.0

    async def __aenter__(self) -> Holds:
        self._cpu_before = time.process_time()
        self._began = self._beat = time.perf_counter()
        self._ticker = asyncio.create_task(self._tick())
        self._loop_thread = threading.get_ident()
        if self._why:
            threading.Thread(target=self._look, daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu_seconds = time.process_time() - self._cpu_before
        self._over.set()
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)

    @property
    def figures(self) -> dict[str, float]:
        """By the wall; what of it was ours and not other programs'; what of that the loop's own thread computed."""
        gaps = self._gaps.values()
        return {
            "longest_hold_ms": round(max((gap.wall for gap in gaps), default=0.0), 1),
            "longest_ours_ms": round(max((gap.ours for gap in gaps), default=0.0), 1),
            "longest_own_ms": round(max((gap.own for gap in gaps), default=0.0), 1),
            "over_20_ms": sum(gap.wall > TARGET_MS for gap in gaps),
            "ours_over_20_ms": sum(gap.ours > TARGET_MS for gap in gaps),
            "seconds": round(self.seconds, 2),
            "cpu_seconds": round(self.cpu_seconds, 2),
        }

    def tell(self) -> None:
        """Print what was seen of the holds that were too long, most frequent first."""
        long = {beat: gap for beat, gap in self._gaps.items() if gap.ours > TARGET_MS}
        seen = Counter(self._stacks.get(beat, ("not seen",)) for beat in long)
        for gap in sorted(long.values(), key=lambda gap: -gap.ours)[:5]:
            print(f"    {gap.wall:.1f} ms, own {gap.own:.1f}, process {gap.process:.1f}", file=sys.stderr)
        for stack, count in seen.most_common(12):
            print(f"    {count} x {' < '.join(stack)}", file=sys.stderr)

    async def _tick(self) -> None:
        own, process = time.thread_time(), time.process_time()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now, own_now, process_now = time.perf_counter(), time.thread_time(), time.process_time()
            self._gaps[self._beat] = Gap(
                wall=1000 * (now - self._beat - BEAT_SECONDS),
                own=1000 * (own_now - own),
                process=1000 * (process_now - process),
            )
            self._beat, own, process = now, own_now, process_now

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            beat = self._beat
            if (time.perf_counter() - beat) * 1000 > TARGET_MS * 0.8 and beat not in self._stacks:
                frame = sys._current_frames().get(self._loop_thread)
                calls = traceback.extract_stack(frame)[-1:-7:-1]
                self._stacks[beat] = tuple(f"{c.name} ({c.filename.rpartition('/')[2]}:{c.lineno})" for c in calls)
