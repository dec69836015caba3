"""Following a deploy to its end: compose's lines as they come, and the rest of them once it has ended.

Comes in: a hub and a deploy's path. Goes out: lines on standard output, and the deploy as it ended. The one rule: no
line is printed twice; what was left out is told as such.
"""

from __future__ import annotations

import re
import time
from typing import Any

import typer

from lastgood.cli.ask import Hub
from lastgood.cli.following import PATIENCE_SECONDS
from lastgood.cli.tables import text
from lastgood.errors import Unreachable

EVERY_SECONDS = 0.5
_LEFT_OUT = re.compile(r"… (\d+) lines left out …")


def follow_deploy(hub: Hub, path: str, *, once: bool = False, quiet: bool = False) -> dict[str, Any]:
    """The deploy as it ended; with ``once`` as it is at this moment."""
    printed = 0
    while True:
        answer = _asked(hub, path, printed)
        deploy: dict[str, Any] = answer["deploy"]
        ended = deploy["outcome"] is not None
        for line in () if quiet else rest(answer["log"], printed) if ended else answer["lines"]:
            typer.echo(text(line) if line else "")
        printed = answer["next"]
        if ended or once:
            return deploy
        time.sleep(EVERY_SECONDS)


def rest(log: str, printed: int) -> list[str]:
    """The lines of a whole log that were not printed yet, by their numbers."""
    number, fresh = 0, []
    for line in log.splitlines():
        left_out = _LEFT_OUT.fullmatch(line)
        after = number + (int(left_out[1]) if left_out else 1)
        if after > printed:
            fresh.append(line)
        number = after
    return fresh


def ended_well(deploy: dict[str, Any]) -> bool:
    return bool(deploy["outcome"] == "success")


def told(deploy: dict[str, Any]) -> str:
    """One sentence on how it ended."""
    reason = f": {deploy['reason']}" if deploy["reason"] else "."
    return text(f"{deploy['action'].capitalize()} of {deploy['project']} on {deploy['host']} {_how(deploy)}{reason}")


def _how(deploy: dict[str, Any]) -> str:
    return f"ended as {deploy['outcome']}" if deploy["outcome"] is not None else f"is {deploy['status']}"


def _asked(hub: Hub, path: str, since: int) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer: dict[str, Any] = hub.get(path, since=since)
        except Unreachable:
            if time.monotonic() >= until:
                raise
            time.sleep(EVERY_SECONDS)
        else:
            return answer
