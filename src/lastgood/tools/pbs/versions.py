"""Which release of Proxmox Backup Server answers, and what it already has.

Comes in: the answer of ``version``. Goes out: a ``Build`` to compare. The one rule: ``version`` holds MAJOR.MINOR
only, so that nothing is gated without ``release``. Outside format: releases 3.2 to 4.2; newer ones have all of
this.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

_NUMBER = re.compile(r"\d{1,9}")


class Build(NamedTuple):
    """One release; an odd part counts as 0, so that an unreadable release has less rather than more."""

    major: int
    minor: int
    release: int

    @classmethod
    def told(cls, version: str, release: str) -> Build:
        parts = [*version.split("."), "", ""][:2]
        return cls(_number(parts[0]), _number(parts[1]), _number(release))

    def has(self, gate: Gate) -> bool:
        return self >= gate.value

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.release}"


class Gate(Enum):
    """What a server has from a certain build on."""

    STATUS_METRICS = Build(3, 2, 8)
    """``status/metrics``."""
    REMOVABLE_STORES = Build(3, 2, 12)
    """``mount-status`` of datastores; before, nothing is known of what is mounted."""
    SYNC_DIRECTION = Build(3, 2, 13)
    """Push jobs, which ``admin/sync`` hides unless ``sync-direction=all`` is asked for."""
    AVAILABLE_MEMORY = Build(3, 4, 0)
    """A node's ``memory.used`` is total minus what could be had; before, total minus free."""
    S3_STORES = Build(4, 0, 4)
    CHEAP_GROUPS = Build(4, 0, 17)
    """``groups`` reads no manifests, lists empty groups, and tells finished backups where there are any."""
    BACKEND_TYPE = Build(4, 1, 6)
    S3_STATISTICS = Build(4, 1, 7)
    SOUND_JOB_LISTS = Build(4, 1, 8)
    """One corrupt job state file no longer breaks the whole list of jobs."""
    TASK_ENDTIME = Build(4, 2, 1)
    """``endtime`` in the status of one task."""


def _number(text: str) -> int:
    found = _NUMBER.match(text)
    return int(found[0]) if found else 0
