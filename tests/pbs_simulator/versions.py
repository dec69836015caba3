"""Which Proxmox Backup Server speaks: its version, and what that version already has.

Every difference between releases is a gate here, asked for by name. A gate names the first build that has it.
Outside format: the `version` and `release` fields of `GET /version`, releases 3.2.4 to 4.2.3.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

KNOWN: Final = ("3.2.4", "3.4.2", "4.0.16", "4.1.8", "4.2.3")

Build = tuple[int, int, int]

GATES: Final[dict[str, Build]] = {
    "zlib-framing": (3, 2, 5),
    "status-metrics": (3, 2, 8),
    "removable": (3, 2, 12),
    "sync-direction": (3, 2, 13),
    "unavailable-wording": (3, 2, 13),
    "memory-available": (3, 4, 0),
    "sync-filters": (3, 4, 0),
    "gc-cache-stats": (4, 0, 2),
    "s3": (4, 0, 4),
    "cheap-groups": (4, 0, 17),
    "verify-threads": (4, 0, 20),
    "unmount-on-done": (4, 0, 20),
    "backend-type": (4, 1, 6),
    "s3-statistics": (4, 1, 6),
    "sync-workers": (4, 1, 8),
    "sync-encryption": (4, 1, 10),
    "identity": (4, 1, 10),
    "task-endtime": (4, 2, 1),
}


class Version(NamedTuple):
    """One build; compares as PBS users must compare it, the release included."""

    major: int
    minor: int
    release: int

    @classmethod
    def parse(cls, text: str) -> Version:
        found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
        if not found or int(found[1]) < 3:
            raise ValueError(
                f"{text!r} is no version this simulator can be; say MAJOR.MINOR.RELEASE, such as {KNOWN[-1]}"
            )
        return cls(int(found[1]), int(found[2]), int(found[3]))

    def has(self, gate: str) -> bool:
        return self >= GATES[gate]

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.release}"
