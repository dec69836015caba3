"""What a made-up Kopia fleet did: sources, their attempts and their schedules, before any of it becomes a manifest.

The manifests are printed from it (manifests.py), and the truth is told from it (truth.py), each on its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# How an attempt ended. The last two leave no manifest.
SUCCESS, WARNING, FATAL = "success", "warning", "fatal"
CANCELED, LIMIT, CHECKPOINT = "canceled", "limit reached", "checkpoint"
SKIPPED, DIED = "skipped", "died"
INCOMPLETE = (CANCELED, LIMIT, CHECKPOINT)
WITHOUT_MANIFEST = (SKIPPED, DIED)


@dataclass(slots=True)
class Attempt:
    start: int
    end: int
    ended: str = SUCCESS
    size: int = 0
    files: int = 0
    dirs: int = 1
    failed: int = 0
    ignored: int = 0
    root: int = 0  # equal numbers, equal contents
    odd: str = ""
    description: str = ""
    tags: dict[str, str] | None = None
    pins: tuple[str, ...] = ()
    checkpoints: tuple[int, ...] = ()  # ends of checkpoint manifests that stand beside the last one
    error: str = ""


@dataclass(slots=True)
class Source:
    host: str
    user: str
    path: str
    attempts: list[Attempt] = field(default_factory=list)  # oldest first
    policy: dict[str, Any] | None = None  # the fields that are set for it, by section
    gap: int | None = None  # seconds between runs that its effective schedule asks for; None: none
    manual: bool = False
    identical: bool = False  # a run that finds nothing new saves no snapshot
    number: int = 0

    @property
    def name(self) -> str:
        return f"{self.user}@{self.host}:{self.path}"


@dataclass(frozen=True)
class Size:
    sources: int
    snapshots: int
    blobs: int


SIZES = {
    "none": Size(0, 0, 40),
    "S": Size(3, 10, 400),
    "M": Size(200, 30, 20_000),
    "L": Size(10_000, 30, 2_000_000),
}
