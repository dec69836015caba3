"""What the fake is asked to be: read from ``scenario.json`` in the state folder, every field with a default."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .moments import SECOND

NOW = 1_787_313_600 * SECOND  # 2026-08-21T12:00:00Z
VERSIONS = ("0.10.7", "0.15.0", "0.17.0", "0.21.1", "0.23.1")
ROUTES = ("direct", "server", "server-acl")
STORAGES = ("filesystem", "s3", "sftp")
MAINTENANCE = ("fine", "never", "broken", "stale", "disabled", "orphaned")


@dataclass
class Scenario:
    version: str = "0.23.1"
    route: str = "direct"
    seed: int = 1
    size: str = "S"
    now: int = NOW
    storage: str = "filesystem"
    maintenance: str = "fine"
    password: str = "sesame"
    zone_minutes: int = 120  # of the sources, printed by releases before 0.12
    account: str = "lastgood@monitor"  # whose sources a server with access rules shows
    index_blobs: int = 0  # more than 1,000 make every command complain
    identical: bool = False  # told elsewhere (webhook, tasks) that runs were skipped
    oddities: list[str] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)  # by hand; see world.by_hand
    policies: list[dict[str, Any]] = field(default_factory=list)  # {"target": {...}, sections}
    faults: list[dict[str, Any]] = field(default_factory=list)  # see faults.py
    without_global: bool = False  # a policy listing without the global one

    def __post_init__(self) -> None:
        for name, known in (("version", VERSIONS), ("route", ROUTES), ("storage", STORAGES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r} is unknown; there is {', '.join(known)}")
        if self.maintenance not in MAINTENANCE:
            raise ValueError(f"maintenance {self.maintenance!r} is unknown; there is {', '.join(MAINTENANCE)}")

    @property
    def release(self) -> tuple[int, int]:
        _, minor, patch = self.version.split(".")
        return int(minor), int(patch)

    @classmethod
    def read(cls, folder: Path) -> Scenario:
        return cls(**json.loads((folder / "scenario.json").read_text()))

    def write(self, folder: Path) -> None:
        (folder / "scenario.json").write_text(json.dumps(asdict(self)))
