"""UPIDs: the names of tasks, which hold when one began and what it worked on.

Comes in: ``UPID:node:pid:pstart:taskid:start:type:id:authid:``. Goes out: its parts, the id without its escapes.
The one rule: a text that is none gives None, never an error, as it stands in rows that are good otherwise. Outside
format: hexadecimal numbers, the id escaped as names of systemd units are (``-`` for ``/``, ``\\xNN``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lastgood.tools.pbs.shapes import moment

_UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9][A-Za-z0-9.-]{0,252}):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8,16}:"
    r"(?P<start>[0-9A-Fa-f]{8}):(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<auth>[^:\s]+):"
)
_ESCAPE = re.compile(r"(?:\\x[0-9a-fA-F]{2})+|-")


@dataclass(frozen=True, slots=True)
class Upid:
    node: str
    started_at: datetime
    worker_type: str
    worker_id: str
    """As in ``worker_id`` of the task list; empty for none."""
    user: str


def upid(text: str) -> Upid | None:
    found = _UPID.fullmatch(text) if len(text) <= 4096 else None
    started_at = moment(int(found["start"], 16)) if found else None
    if found is None or started_at is None:
        return None
    return Upid(found["node"], started_at, found["type"], unescaped(found["id"]), found["auth"])


def started_at(text: str | None) -> datetime | None:
    """When the task of this UPID began."""
    found = upid(text) if text else None
    return found.started_at if found else None


def unescaped(text: str) -> str:
    return _ESCAPE.sub(_plain, text)


def _plain(found: re.Match[str]) -> str:
    if found[0] == "-":
        return "/"
    return bytes.fromhex(found[0].replace("\\x", "")).decode("utf-8", "replace")
