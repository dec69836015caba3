"""Property strings: several values in one text, as configuration of Proxmox writes them.

Comes in: ``type=offline,message="replacing disk 3"`` or the bare ``offline``. Goes out: its values by name. The one
rule: what does not follow the form is kept as the value it looks like, since it is shown to people and decides
nothing.
"""

from __future__ import annotations

import re

_PART = re.compile(r'\s*(?:([A-Za-z][A-Za-z0-9_-]*)=)?("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")


def properties(text: str, first: str) -> dict[str, str]:
    """``first`` is the name of a value without one."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or part.end() == at:
            break
        name, value = part[1] or first, part[2]
        if value.startswith('"') and value.endswith('"') and len(value) > 1:
            value = _ESCAPED.sub(r"\1", value[1:-1])
        found.setdefault(name, value)
        at = part.end()
    return found


def maintenance(text: str | None) -> tuple[str, str | None] | None:
    """Type (offline, read-only, delete, unmount, s3-refresh, or a newer one) and message; None for no maintenance."""
    if not text:
        return None
    told = properties(text, "type")
    return told.get("type", "unknown"), told.get("message") or None


def backend(text: str | None) -> str:
    """``filesystem`` or ``s3``, from the configuration of a datastore."""
    return properties(text, "type").get("type", "filesystem") if text else "filesystem"
