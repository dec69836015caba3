"""What pages and API say of stacks and their deploys: one struct a noun, for both, and how each is made.

Comes in: a view, rows of history, lines that are live. Goes out: readings. The one rule: no text of a stack is in any
of them but ``TextReading``, whose route asks for the permission to deploy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from lastgood.fleet.docker import stacks_of
from lastgood.fleet.fleet import FleetView
from lastgood.model.docker import StackState
from lastgood.model.job import Outcome
from lastgood.model.stack import StackAction
from lastgood.store.stacks import PastDeploy
from lastgood.web import lists


class DeployReading(msgspec.Struct, frozen=True, kw_only=True):
    """One deploy, stop or restart. ``status`` is waiting, running or ended; ``by`` is who asked, if that is known."""

    id: str
    host_id: str
    host: str
    project: str
    action: StackAction
    status: str
    outcome: Outcome | None
    text_number: int | None
    by: str | None
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None
    exit_code: int | None
    compose: str | None
    compose_version: str | None
    cause: str | None
    reason: str | None


class DeployWithLog(msgspec.Struct, frozen=True, kw_only=True):
    """A deploy and what compose wrote, secrets masked. While it runs ``lines`` are those since the number that was
    asked for, as far as they are held, and ``next`` is the number to ask with; once it has ended ``log`` is all."""

    deploy: DeployReading
    log: str
    lines: list[str]
    next: int


class DeployList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; ``next_cursor`` is None on the last page."""

    items: list[DeployReading]
    next_cursor: str | None


class DeployAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The agent was asked; the deploy is known under this id from now on."""

    deploy_id: str


class StackReading(msgspec.Struct, frozen=True, kw_only=True):
    """A compose project on a host. ``state`` is None where nothing of its containers is known; ``deployed`` is
    whether it was ever deployed from here."""

    host_id: str
    host: str
    project: str
    state: StackState | None
    reason: str | None
    containers: int | None
    running: bool
    deployed: bool
    last_action: StackAction | None
    last_outcome: Outcome | None
    last_at: datetime | None


class StackList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[StackReading]


class StackPage(msgspec.Struct, frozen=True, kw_only=True):
    """Stacks of many hosts, those of one host together; ``next_cursor`` is None on the last page."""

    items: list[StackReading]
    total: int
    next_cursor: str | None


class TextRow(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    at: datetime
    by: str


class TextList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    items: list[TextRow]


class TextReading(msgspec.Struct, frozen=True, kw_only=True):
    """A text in clear, for who may deploy."""

    number: int
    text: str
    env: str | None


def every_stack(
    view: FleetView, kept: Mapping[str, Collection[str]], state: str, text: str
) -> dict[str, StackReading]:
    """The stacks of all hosts, of one state if it is named, whose names contain these words; keys sort by host."""
    under_way: dict[str, set[str]] = {}
    for one in view.deploying.values():
        under_way.setdefault(one.host_id, set()).add(one.project)
    hosts = {*view.docker, *view.deployed_on_host, *under_way, *kept}.intersection(view.hosts)
    return {
        f"{host_id}\n{one.project}": one
        for host_id in hosts
        for one in _stacks(view, host_id, kept.get(host_id, ()), under_way.get(host_id, set()))
        if (not state or one.state == state) and lists.matches(text, one.project, one.host)
    }


def stack_readings(view: FleetView, host_id: str, kept: Collection[str]) -> list[StackReading]:
    """The stacks of a host by name: those with containers, and those of which something is kept."""
    return _stacks(view, host_id, kept, {one.project for one in view.deploying.values() if one.host_id == host_id})


def _stacks(view: FleetView, host_id: str, kept: Collection[str], under_way: set[str]) -> list[StackReading]:
    seen = {one.project: one for one in stacks_of(view, host_id)}
    deployed = {*kept, *view.deployed_on_host.get(host_id, ()), *under_way}
    found = []
    for project in sorted({*seen, *deployed}):
        held, deploys = seen.get(project), view.deploys.get((host_id, project))
        last = None if deploys is None else deploys.last
        found.append(
            StackReading(
                host_id=host_id,
                host=view.hosts[host_id].name,
                project=project,
                state=None if held is None else held.state,
                reason=None if held is None else held.reason,
                containers=None if held is None else len(held.containers),
                running=project in under_way,
                deployed=project in deployed,
                last_action=None if last is None else last.action,
                last_outcome=None if last is None else last.outcome,
                last_at=None if last is None else last.ended_at,
            )
        )
    return found


def deploy_reading(view: FleetView, past: PastDeploy, log: str = "") -> DeployReading:
    """``log`` holds the reason of one that no agent heard of."""
    ended, host = past.deploy, view.hosts.get(past.host_id)
    unheard = ended is None and past.outcome is not None
    begun = past.id in view.deploying or past.started_at is not None
    return DeployReading(
        id=past.id,
        host_id=past.host_id,
        host=host.name if host is not None else past.host_id,
        project=past.project,
        action=past.action,
        status="ended" if past.outcome is not None else "running" if begun else "waiting",
        outcome=past.outcome,
        text_number=past.text_number,
        by=past.by,
        asked_at=past.asked_at,
        started_at=past.started_at,
        ended_at=None if ended is None else ended.ended_at,
        duration_seconds=None if ended is None else ended.duration_seconds,
        exit_code=None if ended is None else ended.exit_code,
        compose=None if ended is None or ended.compose is None else ended.compose.value,
        compose_version=None if ended is None else ended.compose_version,
        cause=None if ended is None else ended.cause,
        reason=(log or None) if unheard else None if ended is None else ended.reason,
    )
