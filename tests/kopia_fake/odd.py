"""Sources that are strange in one way each: what real repositories hold and a careless reader trips over."""

from __future__ import annotations

from typing import Any

from .moments import DAY, HOUR, MINUTE, SECOND
from .plan import Attempt, Source

HUGE = 2**53 + 1
PLACES = {
    "null_root": "/srv/null-root",
    "no_summary": "/srv/no-summary",
    "no_symlinks": "/srv/no-symlinks",
    "zero": "/srv/empty",
    "future": "/srv/future",
    "backwards": "/srv/backwards",
    "two_users": "/srv/shared",
    "windows": "C:\\Users\\kim\\Büro & Akten",
    "unc": "\\\\nas01\\share$\\Projekte",
    "newline": '/srv/line\nbreak and "quote"',
    "emoji": "/srv/📦 Bücher",
    "replaced": "/srv/caf�",
    "huge": "/srv/huge",
    "unknown_keys": "/srv/newer-kopia",
    "file": "/etc/app/config.yaml",
    "bare_file": "/etc/app/bare.yaml",
    "pinned_only": "/srv/pinned",
    "leftover": "/srv/leftover-checkpoints",
    "reordered": "/srv/Case/",
}
ODDITIES = tuple(PLACES)
FILES = ("file", "bare_file")  # a file as a source; without a summary as some releases leave it


def odd_sources(names: list[str], now: int) -> list[Source]:
    """The named ones, each on the host ``odd``; Windows paths and two users as they come."""
    found = []
    for number, name in enumerate(names):
        for user in ("anna", "bert") if name == "two_users" else ("anna",):
            found.append(_source(name, user, 900_000 + number, now))
    return found


def _source(name: str, user: str, number: int, now: int) -> Source:
    start = now - 2 * HOUR - number % 1000 * SECOND - 123_456_789
    attempts = [
        Attempt(
            start - back * DAY, start - back * DAY + 4 * MINUTE, size=10**9 + back, files=1000, dirs=40, root=back
        )
        for back in (2, 1, 0)
    ]
    newest = attempts[-1]
    newest.odd = name
    if name == "zero":
        newest.size = newest.files = 0
    elif name == "future":
        newest.start, newest.end = now + 3 * DAY, now + 3 * DAY + MINUTE
    elif name == "backwards":
        newest.end = newest.start - 90 * SECOND
    elif name == "two_users" and user == "bert":
        newest.ended, newest.failed = "fatal", 2
    elif name == "huge":
        newest.size = HUGE
    elif name in FILES:
        for attempt in attempts:
            attempt.odd, attempt.files, attempt.dirs, attempt.size = name, 1, 0, 4711
    elif name == "pinned_only":
        attempts[0].start, attempts[0].end = now - 900 * DAY, now - 900 * DAY + HOUR
        attempts[0].pins, attempts[0].tags = ("before-upgrade",), {"tag:reason": "upgrade & move"}
        attempts[0].description = "before the upgrade"
    elif name == "leftover":
        newest.checkpoints = (newest.start + MINUTE, newest.start + 2 * MINUTE)
    host = "win" if name in ("windows", "unc") else "odd"
    return Source(host, user, PLACES[name], attempts, number=number)


def strange(odd: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest as it is printed for an oddity."""
    root = manifest["rootEntry"]
    if odd == "null_root":
        manifest["rootEntry"] = None
    elif odd == "no_summary":
        del root["summ"]
    elif odd == "no_symlinks":
        del root["summ"]["symlinks"]
    elif odd in FILES:
        made = {"name": root["name"], "type": "f", "mode": "0644", "size": root["summ"]["size"]}
        rest = {name: value for name, value in root.items() if name not in ("name", "type", "mode")}
        if odd == "bare_file":
            del rest["summ"]
        manifest["rootEntry"] = made | rest
    elif odd == "unknown_keys":
        manifest["verdict"] = {"by": "later", "levels": [1, None, True]}
        root["summ"]["sparse"] = 17
        manifest["stats"]["clonedFiles"] = 3
    return manifest
