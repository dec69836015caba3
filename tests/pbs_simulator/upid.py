"""Task names as PBS writes them: ``UPID:node:pid:pstart:taskid:start:type:id:authid:``.

Outside format: field 6 is the start in hex, the id is escaped like a systemd unit name.
"""

from __future__ import annotations

import re
from functools import lru_cache

NODE = "pbs-a"
PID = 0x2F1
PSTART = 0x4D2

_ODD = re.compile(r"[^A-Za-z0-9._/]")


@lru_cache(maxsize=4096)
def escaped(worker_id: str) -> str:
    """The id within a UPID: ``/`` becomes ``-``, all else outside ``[A-Za-z0-9._]`` becomes ``\\xNN`` by byte."""
    text = _ODD.sub(lambda odd: "".join(f"\\x{byte:02x}" for byte in odd[0].encode()), worker_id)
    if text.startswith("."):
        text = "\\x2e" + text[1:]
    return text.replace("/", "-")


def upid(number: int, start: int, worker_type: str, worker_id: str | None, user: str) -> str:
    process = f"UPID:{NODE}:{PID:08X}:{PSTART:08X}"
    return f"{process}:{number:08X}:{start:08X}:{worker_type}:{escaped(worker_id or '')}:{user}:"
