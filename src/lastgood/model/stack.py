"""Stacks as they are deployed: one deploy, stop or restart of a compose project on a host, and what stays of it.

The agent tells of a beginning and an end; ``fleet/stacks.py`` learns them. The one rule: the text of a stack is no
part of these values, for it may hold secrets; it is named by its number. A project is named as compose names it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lastgood.model.job import Outcome

LONGEST_PROJECT = 100
LONGEST_ID = 64
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")

StackKey = tuple[str, str]
"""(host id, project)."""


class StackAction(StrEnum):
    DEPLOY = "deploy"
    STOP = "stop"
    RESTART = "restart"


class Compose(StrEnum):
    """Which compose a host has: the plugin of ``docker``, a program of its own of version 2 or later, or 1.x."""

    PLUGIN = "plugin"
    STANDALONE = "standalone"
    LEGACY = "legacy"


def is_project(name: str) -> bool:
    """Whether compose takes this as a project's name."""
    return len(name) <= LONGEST_PROJECT and _PROJECT.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployStart:
    """A deploy under way. ``text_number`` names the text that is deployed, None for what needs none."""

    id: str
    action: StackAction
    host_id: str
    project: str
    started_at: datetime
    text_number: int | None = None

    @property
    def key(self) -> StackKey:
        return self.host_id, self.project


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """One that ended. Instants are the agent's, never later than when the hub heard of them.

    ``touched`` is whether compose was set on the stack: a text that was refused before leaves everything as it was.
    ``reason`` is one sentence for people; ``exit_code`` is compose's own.
    """

    id: str
    action: StackAction
    outcome: Outcome
    host_id: str
    project: str
    started_at: datetime
    ended_at: datetime
    duration_seconds: float
    text_number: int | None = None
    exit_code: int | None = None
    touched: bool = False
    compose: Compose | None = None
    compose_version: str | None = None
    cause: str | None = None
    reason: str | None = None

    @property
    def key(self) -> StackKey:
        return self.host_id, self.project

    @property
    def is_ok(self) -> bool:
        return self.outcome is Outcome.SUCCESS


DEPLOY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds in seconds, inclusive, as the vocabulary fixes them; +Inf follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long deploys took: not cumulative, the count of each bucket alone, the last for +Inf."""

    buckets: tuple[int, ...] = (0,) * (len(DEPLOY_BOUNDS) + 1)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDeploys:
    """What is known of the deploys of one stack. ``failed`` is whether its last deploy failed and nobody has deployed
    it well or stopped it since; ``last`` is the newest of any action that touched it."""

    host_id: str
    project: str
    last: Deploy | None = None
    failed: bool = False
    ok: Times = Times()
    error: Times = Times()
