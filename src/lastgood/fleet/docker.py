"""What agents saw of their Docker engines: facts -> fleet, and the stacks of a host.

Called by ``learn``; pages and metrics ask ``stacks_of``. The one rule: a survey replaces all that was known of an
engine's containers and volumes, and while the engine or its host is away the last one stays as it was, with its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from lastgood.fleet.changes import Changes, Unlearnable, known
from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.fleet.standing import by_project, stack_state
from lastgood.fleet.subjects import subjects_of
from lastgood.model import fact
from lastgood.model.docker import (
    DockerHost,
    Engine,
    EngineState,
    Exclusion,
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
    fleet.count_docker(told.host_id)
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
    fleet.count_docker(told.host_id)
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
        fleet.count_docker(host_id)
        changes.docker.add(host_id)


def degraded_because(view: FleetView | Fleet, host_id: str) -> str | None:
    """Why a host whose agent is online is degraded, in a sentence; None if it is well."""
    presence, held = view.presence_of(host_id), view.docker.get(host_id)
    if presence.refuses_orders:
        return "Its agent refuses a part of its orders."
    if presence.is_skewed:
        return f"Its clock and the hub's differ by {abs(presence.clock_offset_seconds or 0):.0f} s."
    return None if held is None else trouble(held.engine)


def is_reachable(view: FleetView | Fleet, host_id: str) -> bool:
    """Whether its engine can be asked at present: else what was seen last is all that is known."""
    held = view.docker.get(host_id)
    return held is not None and view.online.get(host_id) is True and held.engine.state is EngineState.UP


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
    failed = view.failed_deploys(host_id)
    projects = by_project(() if held is None else held.inventory.containers, failed)
    reachable = is_reachable(view, host_id)
    made = []
    for name in sorted(projects):
        state, reason = stack_state(projects[name], deploy_failed=name in failed)
        if not reachable:
            state, reason = StackState.UNKNOWN, "Its engine cannot be asked at present; this is what was seen last."
        made.append(
            Stack(host_id=host_id, project=name, state=state, containers=tuple(projects[name]), reason=reason)
        )
    return tuple(made)


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
