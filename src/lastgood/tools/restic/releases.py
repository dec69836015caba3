"""What is to be known of the restic release that a host has; it is never updated or installed from here.

A version as text comes in, one sentence goes out, or None. Outside program: restic, its changelogs up to 0.19.1.
"""

from __future__ import annotations

import re

_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")


def advice(version: str | None) -> str | None:
    """What speaks against this release; None if nothing does, or if nobody knows which it is."""
    found = None if version is None else _VERSION.match(version)
    if found is None:
        return None
    release = (int(found[1]), int(found[2]), int(found[3] or 0))
    if release == (0, 19, 0):
        return "restic 0.19.0 answers some questions wrongly; 0.19.1 has that mended."
    if release < (0, 17, 0):
        return (
            "Before 0.17 restic has no exit codes of its own for a missing repository, a lock or a wrong password; "
            "lastgood reads its messages instead. A newer release tells them apart for sure."
        )
    return None
