"""Deploys of stacks as they are learned: what is under way, how the last one ended, and how long they took.

Facts of an agent come in, ``fleet.deploying`` and ``fleet.deploys`` are what stays. The one rule: only what compose
was set on counts for the stack's state; a text that was refused before has changed nothing on its host. Counted in
``learn``, so the times survive a restart.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import replace

from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.model import fact
from lastgood.model.job import Outcome
from lastgood.model.stack import (
    DEPLOY_BOUNDS,
    LONGEST_ID,
    Deploy,
    DeployStart,
    StackAction,
    StackDeploys,
    StackKey,
    Times,
    is_project,
)

REFUSED = "refused_by_policy"
MOST_STACKS = 1_000
"""Of one host; the stacks of a host that makes up names are not remembered without end."""
MOST_DEPLOYING = 100
"""Of one host at a time; its agent works at a few."""


def deploy_started(fleet: Fleet, told: fact.DeployStarted, changes: Changes) -> None:
    start = told.deploy
    known(fleet.hosts, start.host_id, "host")
    _check_names(start)
    before = fleet.deploying.get(start.id)
    if before is not None and (before.key, before.action) != (start.key, start.action):
        raise Unlearnable(f"Deploy {start.id} is under way already, as something else.")
    for other in [one.id for one in fleet.deploying.values() if one.key == start.key and one.id != start.id]:
        # A host works at one deploy of a stack at a time: the end of the earlier one was lost.
        del fleet.deploying[other]
        changes.deploys.add(other)
    if before is None and _count(fleet, start.host_id) >= MOST_DEPLOYING:
        raise Unlearnable(f"Host {start.host_id} has more than {MOST_DEPLOYING} deploys under way.")
    fleet.deploying[start.id] = start
    changes.deploys.add(start.id)
    changes.stacks.add(start.key)


def deploy_finished(fleet: Fleet, told: fact.DeployFinished, changes: Changes) -> None:
    deploy = told.deploy
    known(fleet.hosts, deploy.host_id, "host")
    _check_names(deploy)
    if not math.isfinite(deploy.duration_seconds):
        raise Unlearnable(f"Deploy {deploy.id} took {deploy.duration_seconds} seconds.")
    start = fleet.deploying.get(deploy.id)
    if start is not None and start.key != deploy.key:
        raise Unlearnable(f"Host {deploy.host_id} reported the end of deploy {deploy.id}, which is another's.")
    before = fleet.deploys.get(deploy.key)
    told_lost = False
    if before is not None and before.last is not None and before.last.id == deploy.id:
        told_lost = before.last.outcome is Outcome.LOST and deploy.outcome is not Outcome.LOST
        if not told_lost:
            raise Unlearnable(f"The end of deploy {deploy.id} was told before.")
    unknown = StackDeploys(host_id=deploy.host_id, project=deploy.project)
    if before is None and len(fleet.deployed_on_host.get(deploy.host_id, ())) >= MOST_STACKS:
        raise Unlearnable(f"Host {deploy.host_id} has told of more than {MOST_STACKS} stacks.")

    if start is not None:
        del fleet.deploying[deploy.id]
    after = _after(before or unknown, deploy, counted=not told_lost)
    if after != unknown:
        fleet.deploys[deploy.key] = after
        if before is None:
            _join(fleet.deployed_on_host, deploy.host_id, deploy.project)
            _join(fleet.deployed_hosts, deploy.project, deploy.host_id)
        fleet.count_docker(deploy.host_id)
    changes.deploys.add(deploy.id)
    changes.stacks.add(deploy.key)


def stack_forgotten(fleet: Fleet, told: fact.StackForgotten, changes: Changes) -> None:
    key = (told.host_id, told.project)
    if key not in fleet.deploys:
        known(fleet.hosts, told.host_id, "host")
    _drop(fleet, key)
    fleet.count_docker(told.host_id)
    changes.stacks.add(key)


def drop_of_host(fleet: Fleet, host_id: str, changes: Changes) -> None:
    """The host is removed, and its stacks with it."""
    for project in fleet.deployed_on_host.get(host_id, ()):
        _drop(fleet, (host_id, project))
        changes.stacks.add((host_id, project))
    fleet.count_docker(host_id)
    for start in [one for one in fleet.deploying.values() if one.host_id == host_id]:
        del fleet.deploying[start.id]
        changes.deploys.add(start.id)
        changes.stacks.add(start.key)


def times_by_name(known_of: FleetView | Fleet, project: str) -> tuple[Times, Times]:
    """The times of all stacks of this name, (ok, error): the vocabulary knows a stack by its name alone."""
    alike = [known_of.deploys[host_id, project] for host_id in known_of.deployed_hosts.get(project, ())]
    return _sum([one.ok for one in alike]), _sum([one.error for one in alike])


def _check_names(told: DeployStart | Deploy) -> None:
    """Names go into labels and addresses; an agent deploys nothing that the hub did not name."""
    if not is_project(told.project) or not 0 < len(told.id) <= LONGEST_ID:
        raise Unlearnable(f"Host {told.host_id} told of a deploy whose id or project is no name.")


def _count(fleet: Fleet, host_id: str) -> int:
    return sum(one.host_id == host_id for one in fleet.deploying.values())


def _drop(fleet: Fleet, key: StackKey) -> None:
    if fleet.deploys.pop(key, None) is not None:
        _leave(fleet.deployed_on_host, key[0], key[1])
        _leave(fleet.deployed_hosts, key[1], key[0])


def _join(index: dict[str, tuple[str, ...]], key: str, member: str) -> None:
    index[key] = tuple(sorted((*index.get(key, ()), member)))


def _leave(index: dict[str, tuple[str, ...]], key: str, member: str) -> None:
    """As a reindex would make it: without empty groups."""
    index[key] = tuple(other for other in index[key] if other != member)
    if not index[key]:
        del index[key]


def _sum(parts: list[Times]) -> Times:
    buckets = [sum(column) for column in zip(*(one.buckets for one in parts), strict=True)]
    return Times(buckets=tuple(buckets), seconds=sum(one.seconds for one in parts)) if parts else Times()


def _after(before: StackDeploys, deploy: Deploy, *, counted: bool) -> StackDeploys:
    after = before
    is_deploy = deploy.action is StackAction.DEPLOY
    if counted and is_deploy and deploy.outcome is not Outcome.CANCELLED and deploy.cause != REFUSED:
        after = (
            replace(after, ok=_observed(after.ok, deploy.duration_seconds))
            if deploy.is_ok
            else replace(after, error=_observed(after.error, deploy.duration_seconds))
        )
    if not deploy.touched:
        return after
    if after.last is None or after.last.ended_at <= deploy.ended_at:
        after = replace(after, last=deploy)
        if is_deploy:
            after = replace(after, failed=not deploy.is_ok)
        elif deploy.action is StackAction.STOP and deploy.is_ok:
            after = replace(after, failed=False)
    return after


def _observed(times: Times, seconds: float) -> Times:
    """One more; a negative duration (a clock set back) counts as zero."""
    value = max(seconds, 0.0)
    place = bisect_left(DEPLOY_BOUNDS, value)
    buckets = (*times.buckets[:place], times.buckets[place] + 1, *times.buckets[place + 1 :])
    return Times(buckets=buckets, seconds=times.seconds + value)
