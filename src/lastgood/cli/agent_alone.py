"""``lastgood agent run`` without the tree of commands: what runs on every host for ever need not carry it.

The words of a command line come in, the arguments of ``run_agent`` go out, or None for the tree to read them. The
options are those of ``cli/agent.py``. The one rule: whatever is not plainly right is the tree's, which knows what to
say of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

CONFIG = Path("/etc/lastgood/agent.toml")
LOG_LEVEL = "info"


class Told(TypedDict):
    config_path: Path
    parent: int | None
    log_level: str


def told(words: Sequence[str]) -> Told | None:
    """What ``lastgood`` with these words behind it says to ``run_agent``; None if it is anything else."""
    if tuple(words[:2]) != ("agent", "run"):
        return None
    found: Told = {"config_path": CONFIG, "parent": None, "log_level": LOG_LEVEL}
    is_debug = False
    rest = iter(words[2:])
    for word in rest:
        name, value = _option(word, rest)
        if not value or value.startswith("-"):
            if word != "--debug":
                return None
            is_debug = True
        elif name == "--config":
            found["config_path"] = Path(value)
        elif name == "--die-with-parent" and value.isascii() and value.isdecimal():
            found["parent"] = int(value)
        elif name == "--log-level":
            found["log_level"] = value
        else:
            return None
    if is_debug:
        found["log_level"] = "debug"
    return found


def _option(word: str, rest: Iterator[str]) -> tuple[str, str]:
    """An option and its value, which may be the next word."""
    name, mark, value = word.partition("=")
    if mark or name == "--debug":
        return name, value
    return name, next(rest, "")
