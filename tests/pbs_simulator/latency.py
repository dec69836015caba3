"""How slow the server is: a delay for every call, the cost of reading groups and snapshots, bandwidth, a queue.

All of it comes before the first byte, as with the real one; the jitter is drawn from the seed.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

# Microseconds to read one group and one snapshot.
DISKS = {"none": (0, 0), "nvme": (5, 30), "hdd": (400, 600)}


@dataclass(frozen=True)
class Latency:
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    per_group_us: float = 0.0
    per_snapshot_us: float = 0.0
    bandwidth_kbps: float = 0.0  # 0: as fast as it goes
    at_once: int = 0  # 0: no queue

    @classmethod
    def on_disk(cls, disk: str, latency_ms: float = 0.0, jitter_ms: float = 0.0) -> Latency:
        group, snapshot = DISKS[disk]
        return cls(latency_ms, jitter_ms, group, snapshot)


class Pace:
    """Applies a latency; one for each server."""

    def __init__(self, latency: Latency, seed: int) -> None:
        self.latency = latency
        self._rng = random.Random(seed)
        self.queue = asyncio.Semaphore(latency.at_once) if latency.at_once else None

    async def before(self, groups: int, snapshots: int) -> None:
        told = self.latency
        seconds = (told.latency_ms + self._rng.random() * told.jitter_ms) / 1000
        seconds += (groups * told.per_group_us + snapshots * told.per_snapshot_us) / 1e6
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def sent(self, count: int) -> None:
        if self.latency.bandwidth_kbps:
            await asyncio.sleep(count * 8 / 1000 / self.latency.bandwidth_kbps)
