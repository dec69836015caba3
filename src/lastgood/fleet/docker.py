"""What agents saw of their Docker engines: facts -> fleet, and the state of containers' stacks.

Called by ``learn``; pages and metrics ask ``stacks_of``. The one rule: a survey replaces all that was known of an
engine's containers and volumes, and while the engine or its host is away the last one stays as it was, with its time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.fleet.subjects import subjects_of
from lastgood.model import fact
from lastgood.model.docker import (
    Container,
    ContainerState,
    DockerHost,
    Ending,
    Engine,
    EngineState,
    Exclusion,
    Health,
    Sighting,
    Stack,
    StackState,
    Subject,
)
from lastgood.model.host import MOST_SKEW_SECONDS

MOST_EXCLUSIONS = 2_000
GONE_FOR = timedelta(days=7)
"""A place of data that was away for less is still the same: containers are removed and made anew."""

MOST_SIGHTINGS = 4_000
_SIGNALLED = frozenset({130, 137, 143})
"""Exit codes of processes that a signal ended: what a stop looks like where nobody saw who asked for it."""


def inventory_listed(fleet: Fleet, told: fact.InventoryListed, changes: Changes) -> None:
    known(fleet.hosts, told.host_id, "host")
    before = fleet.docker.get(told.host_id)
    subjects = subjects_of(told.inventory, told.engine)
    first = before is None or before.listed_at is None
    fleet.docker[told.host_id] = DockerHost(
        engine=told.engine,
        engine_at=told.listed_at,
        listed_at=told.listed_at,
        inventory=told.inventory,
        sightings=_sightings(() if before is None else before.sightings, subjects, told.at, first=first),
        exclusions=() if before is None else before.exclusions,
    )
    fleet.subjects_of_host[told.host_id] = subjects
    changes.docker.add(told.host_id)


def engine_reported(fleet: Fleet, told: fact.EngineReported, changes: Changes) -> None:
    known(fleet.hosts, told.host_id, "host")
    before = fleet.docker.get(told.host_id)
    if told.engine.state is EngineState.OFF:
        if before is None or not before.exclusions:
            drop_of_host(fleet, told.host_id, changes)
            return
        after = DockerHost(engine=told.engine, engine_at=told.seen_at, exclusions=before.exclusions)
        fleet.subjects_of_host.pop(told.host_id, None)
    elif before is None:
        after = DockerHost(engine=told.engine, engine_at=told.seen_at)
    else:
        after = replace(before, engine=told.engine, engine_at=told.seen_at)
    fleet.docker[told.host_id] = after
    changes.docker.add(told.host_id)


def subject_excluded(fleet: Fleet, told: fact.SubjectExcluded, changes: Changes) -> None:
    before = known(fleet.docker, told.host_id, "Docker host")
    others = tuple(one for one in before.exclusions if one.subject != told.subject)
    if told.reason is not None:
        if len(others) >= MOST_EXCLUSIONS:
            raise Unlearnable(f"More than {MOST_EXCLUSIONS} exclusions are kept of no host; take some back.")
        made = Exclusion(subject=told.subject, reason=told.reason, by=told.by, at=told.at)
        others = tuple(sorted((*others, made), key=lambda one: one.subject))
    fleet.docker[told.host_id] = replace(before, exclusions=others)
    changes.docker.add(told.host_id)


def drop_of_host(fleet: Fleet, host_id: str, changes: Changes) -> None:
    """The host is removed, or wants its engine looked at no more."""
    fleet.subjects_of_host.pop(host_id, None)
    if fleet.docker.pop(host_id, None) is not None:
        changes.docker.add(host_id)


def trouble(engine: Engine) -> str | None:
    """Why a host with this engine is degraded, in a sentence; None if it is well."""
    if engine.state in (EngineState.SILENT, EngineState.DOWN):
        return engine.message or "Its container engine does not answer."
    offset = engine.clock_offset_seconds
    if offset is not None and abs(offset) > MOST_SKEW_SECONDS:
        side = "ahead of" if offset > 0 else "behind"
        return f"The clock of its container engine is {abs(offset)} s {side} the agent's."
    return None


def stacks_of(view: FleetView | Fleet, host_id: str) -> tuple[Stack, ...]:
    """The stacks of a host by name: those that have containers, and those whose last deploy failed."""
    held = view.docker.get(host_id)
    deployed = view.deployed_on_host.get(host_id, ())
    failed = {project for project in deployed if view.deploys[host_id, project].failed}
    projects: dict[str, list[Container]] = {project: [] for project in failed}
    reachable = held is not None and view.online.get(host_id) is True and held.engine.state is EngineState.UP
    for one in () if held is None else held.inventory.containers:
        if one.project is not None:
            projects.setdefault(one.project, []).append(one)
    made = []
    for name in sorted(projects):
        state, reason = stack_state(projects[name], deploy_failed=name in failed)
        if not reachable:
            state, reason = StackState.UNKNOWN, "Its engine cannot be asked at present; this is what was seen last."
        made.append(
            Stack(host_id=host_id, project=name, state=state, containers=tuple(projects[name]), reason=reason)
        )
    return tuple(made)


def stack_state(
    containers: Collection[Container], *, deploy_failed: bool = False, expected: Iterable[str] = ()
) -> tuple[StackState, str | None]:
    """The state of a stack and a sentence that says why it is not well. ``expected`` are services it should have."""
    for one in containers:
        wrong = wrong_of(one)
        if wrong is not None:
            return StackState.ERROR, f"{one.name} {wrong}."
    if deploy_failed:
        return StackState.ERROR, "Its last deploy failed."
    absent = sorted(set(expected) - {one.service for one in containers if one.service is not None})
    up = [one for one in containers if one.state in (ContainerState.RUNNING, ContainerState.PAUSED)]
    down = [one for one in containers if one not in up and not is_completed(one)]
    if up and (absent or down):
        names = ", ".join([*absent, *(one.service or one.name for one in down)][:5])
        return StackState.PARTIAL, f"Not running: {names}."
    if up and all(one.state is ContainerState.PAUSED for one in up):
        return StackState.PAUSED, None
    if up or (containers and not down and not absent):
        return StackState.RUNNING, None
    return StackState.STOPPED, None


def is_completed(one: Container) -> bool:
    """Whether it has done its work and is not meant to go on."""
    once = one.restart_policy in ("", "no", "on-failure")
    # A service that somebody stopped may end with 0 as well.
    return one.state is ContainerState.EXITED and one.exit_code == 0 and once and one.ending is not Ending.ASKED


def wrong_of(one: Container) -> str | None:
    """What is wrong with a container, in words that follow its name; None if nothing is."""
    if one.state is ContainerState.DEAD:
        return "is dead, its engine could not remove it"
    if one.state is ContainerState.RESTARTING:
        return "restarts again and again" if one.is_looping else "restarts"
    if one.oom_killed and one.state is ContainerState.EXITED:
        return "ran out of memory"
    if one.is_looping:
        return f"crashed {one.crashes} times lately"
    if one.health is Health.UNHEALTHY and one.state is ContainerState.RUNNING:
        return "is unhealthy"
    if one.state is ContainerState.EXITED and one.exit_code not in (0, None):
        if one.ending in (Ending.ASKED, Ending.ENGINE):
            return None
        if one.ending is Ending.CRASHED or one.exit_code not in _SIGNALLED:
            return f"ended with exit code {one.exit_code}"
    return None


def _sightings(
    before: Iterable[Sighting], subjects: Iterable[Subject], at: datetime, *, first: bool
) -> tuple[Sighting, ...]:
    """Since when each place is known; what stood there at the first look may be older than that."""
    held = {one.subject: one for one in before}
    after = {}
    for subject in subjects:
        sighting = held.pop(subject.key, None)
        if sighting is None:
            sighting = Sighting(subject=subject.key, seen_at=None if first else at)
        elif sighting.gone_at is not None:
            sighting = replace(sighting, gone_at=None)
        after[subject.key] = sighting
    for sighting in held.values():
        gone_at = sighting.gone_at or at
        if at - gone_at < GONE_FOR and len(after) < MOST_SIGHTINGS:
            after[sighting.subject] = replace(sighting, gone_at=gone_at)
    return tuple(after.values())
