"""What pages and API tell of containers and of the coverage of their data.

A view comes in, readings go out. The one rule: what was seen last of a host that is away is told with its time, and
never as if it were now.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec

from lastgood.fleet import coverage, docker
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.standing import wrong_of
from lastgood.model.docker import (
    Answer,
    Container,
    ContainerState,
    Coverage,
    Ending,
    EngineState,
    Health,
    MountKind,
)
from lastgood.model.source import State


class MountReading(msgspec.Struct, frozen=True, kw_only=True):
    kind: MountKind
    name: str
    source: str
    destination: str
    writable: bool


class ContainerReading(msgspec.Struct, frozen=True, kw_only=True):
    """``since`` is by the engine's clock. ``wrong`` says what is not well with it, None if nothing is."""

    key: str
    id: str
    name: str
    image: str
    project: str | None
    service: str | None
    state: ContainerState
    health: Health
    since: datetime | None
    exit_code: int | None
    ending: Ending | None
    oom_killed: bool
    recent_crashes: int
    restart_policy: str
    wrong: str | None
    mounts: list[MountReading]


class EngineReading(msgspec.Struct, frozen=True, kw_only=True):
    """The container engine of a host. ``current``: what is told of it holds now, not at ``listed_at`` only.

    ``more_containers`` and ``more_volumes`` are too many to be told one by one. ``degraded_because`` is None if the
    engine answers and its clock is right. ``answers`` counts the places of data by what can be said of their backup.
    """

    host_id: str
    host: str
    state: EngineState
    current: bool
    message: str | None
    degraded_because: str | None
    kind: str
    version: str | None
    api_version: str | None
    endpoint: str
    root_dir: str
    local: bool
    rootless: bool
    swarm: bool
    clock_offset_seconds: int | None
    restarted_at: datetime | None
    silent_since: datetime | None
    listed_at: datetime | None
    engine_at: datetime
    containers: dict[str, int]
    more_containers: int
    volumes: int
    more_volumes: int
    answers: dict[Answer, int]


class CoverageReading(msgspec.Struct, frozen=True, kw_only=True):
    """A volume or bind mount, and whether a backup of it is known. ``subject`` names it for the host's routes."""

    host_id: str
    host: str
    subject: str
    kind: MountKind
    title: str
    path: str
    anonymous: bool
    containers: list[str]
    projects: list[str]
    answer: Answer
    because: str
    source_id: str | None
    source: str | None
    source_state: State | None
    last_good_at: datetime | None
    excluded_by: str | None
    listed_at: datetime | None
    current: bool


def engine_reading(view: FleetView, host_id: str) -> EngineReading | None:
    """The engine of a host; None where none was ever seen."""
    held = view.docker.get(host_id)
    if held is None:
        return None
    engine, inventory = held.engine, held.inventory
    answers = Counter(one.answer for one in coverage.coverage(view, host_id))
    return EngineReading(
        host_id=host_id,
        host=view.hosts[host_id].name,
        state=engine.state,
        current=_is_current(view, host_id),
        message=engine.message,
        degraded_because=docker.trouble(engine),
        kind=engine.kind,
        version=engine.version,
        api_version=engine.api_version,
        endpoint=engine.endpoint,
        root_dir=engine.root_dir,
        local=engine.local,
        rootless=engine.rootless,
        swarm=engine.swarm,
        clock_offset_seconds=engine.clock_offset_seconds,
        restarted_at=engine.restarted_at,
        silent_since=engine.silent_since,
        listed_at=held.listed_at,
        engine_at=held.engine_at,
        containers={state: count for state, count in _by_state(inventory.containers).items() if count},
        more_containers=inventory.more_containers,
        volumes=len(inventory.volumes),
        more_volumes=inventory.more_volumes,
        answers={answer: answers[answer] for answer in Answer},
    )


def container_reading(one: Container) -> ContainerReading:
    return ContainerReading(
        key=one.key,
        id=one.id,
        name=one.name,
        image=one.image,
        project=one.project,
        service=one.service,
        state=one.state,
        health=one.health,
        since=one.since,
        exit_code=one.exit_code,
        ending=one.ending,
        oom_killed=one.oom_killed,
        recent_crashes=one.crashes,
        restart_policy=one.restart_policy,
        wrong=wrong_of(one),
        mounts=[
            MountReading(
                kind=mount.kind,
                name=mount.name,
                source=mount.source,
                destination=mount.destination,
                writable=mount.writable,
            )
            for mount in one.mounts
        ],
    )


def coverage_reading(view: FleetView, told: Coverage) -> CoverageReading:
    source = view.sources.get(told.source_id or "")
    return CoverageReading(
        host_id=told.host_id,
        host=view.hosts[told.host_id].name,
        subject=told.subject.key,
        kind=told.subject.kind,
        title=told.subject.title,
        path=told.subject.path,
        anonymous=told.subject.is_anonymous,
        containers=list(told.subject.users),
        projects=list(told.subject.projects),
        answer=told.answer,
        because=told.because,
        source_id=told.source_id,
        source=None if source is None else source.name,
        source_state=None if source is None else view.states.get(source.id),
        last_good_at=told.last_good_at,
        excluded_by=told.excluded_by,
        listed_at=view.docker[told.host_id].listed_at,
        current=_is_current(view, told.host_id),
    )


def _is_current(view: FleetView, host_id: str) -> bool:
    return view.online.get(host_id) is True and view.docker[host_id].engine.state is EngineState.UP


def _by_state(containers: tuple[Container, ...]) -> dict[str, int]:
    counts = Counter(one.state.value for one in containers)
    return {state.value: counts[state.value] for state in ContainerState}
