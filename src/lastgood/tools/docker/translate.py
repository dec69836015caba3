"""Payloads of an engine -> our nouns: containers with their states, volumes, the engine itself.

Shapes and what ``Lives`` knows come in; ``Container``, ``Volume``, ``Engine`` go out. Pure. The one rule: a container
has the same key whenever it is made anew, and an unknown word of an engine is the nearest thing that promises least.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from lastgood.model.docker import (
    Container,
    ContainerState,
    Ending,
    Engine,
    EngineState,
    Health,
    Labels,
    Mount,
    MountKind,
    Volume,
)
from lastgood.tools.docker import labels
from lastgood.tools.docker.labels import cut
from lastgood.tools.docker.shapes import Info, Inspect, Item, MountShape, VolumeShape, moment

LONGEST_PATH = 1024
NOTICED_OFFSET_SECONDS = 5
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_EXIT_CODE = re.compile(r"\((\d{1,3})\)")
_STARTING = "(health: starting)"
_STATES = {state.value: state for state in ContainerState} | {
    "stopped": ContainerState.EXITED,
    "stopping": ContainerState.RUNNING,
    "configured": ContainerState.CREATED,
    "initialized": ContainerState.CREATED,
}
"""The engine's words, and Podman's own ones."""

_OVER = (ContainerState.EXITED, ContainerState.DEAD, ContainerState.RESTARTING)
_REMOTE_OPTIONS = ("type", "device", "o")


def name_of(item: Item) -> str:
    """The container's own name: links add names with a second slash."""
    names = [name.removeprefix("/") for name in item.names or ()]
    return cut(next((name for name in names if "/" not in name), names[0] if names else item.id[:12]))


def state_of(item: Item) -> ContainerState:
    return _STATES.get(item.state.casefold(), ContainerState.DEAD)


def is_anonymous(name: str, told: dict[str, str] | None = None) -> bool:
    return _ANONYMOUS.fullmatch(name) is not None or (told is not None and "com.docker.volume.anonymous" in told)


def container(
    item: Item,
    seen: Inspect | None,
    ending: Ending | None,
    crashes: int,
    settings: Labels = (),
    is_file: Callable[[str], bool | None] = lambda path: None,
) -> Container:
    """One container. ``seen`` is the look into it, None if it vanished meanwhile."""
    told = item.labels or {}
    state = state_of(item)
    name = name_of(item)
    project, service = told.get(labels.PROJECT), told.get(labels.SERVICE)
    key = name
    if project and service:
        key = f"{cut(project)}/{cut(service)}/{cut(told.get(labels.NUMBER, '1'), 20)}"
    is_over = state in _OVER
    return Container(
        key=key,
        id=cut(item.id, 64)[:12],
        name=name,
        image=cut(item.image),
        state=state,
        health=_health(item, seen, state),
        project=cut(project) if project else None,
        service=cut(service) if service else None,
        created_at=_created(item),
        since=_since(seen, state),
        exit_code=_exit_code(item, seen) if is_over else None,
        oom_killed=is_over and seen is not None and seen.state.oom_killed,
        ending=ending if state in (ContainerState.EXITED, ContainerState.DEAD) else None,
        crashes=crashes,
        restart_policy=_policy(seen),
        labels=(*labels.allowed(told), *settings),
        mounts=_mounts(item.mounts or (), is_file),
    )


def volume(told: VolumeShape) -> Volume:
    options = told.options or {}
    owner = (told.labels or {}).get(labels.PROJECT)
    return Volume(
        name=cut(told.name),
        mountpoint=cut(told.mountpoint, LONGEST_PATH),
        driver=cut(told.driver),
        project=cut(owner) if owner else None,
        is_anonymous=is_anonymous(told.name, told.labels),
        is_mounted_on_demand=told.driver != "local" or any(name in options for name in _REMOTE_OPTIONS),
        labels=labels.allowed(told.labels),
    )


def engine(info: Info, kind: str, api_version: str, endpoint: str, now: datetime, *, local: bool) -> Engine:
    """An engine that answers."""
    there = moment(info.system_time)
    offset = None if there is None else round((there - now).total_seconds())
    if offset is not None and abs(offset) < NOTICED_OFFSET_SECONDS:
        offset = 0
    security = info.security_options or ()
    return Engine(
        state=EngineState.UP,
        endpoint=cut(endpoint),
        kind=kind,
        version=cut(info.server_version) or None,
        api_version=api_version,
        name=cut(info.name),
        root_dir=cut(info.docker_root_dir, LONGEST_PATH),
        storage_driver=cut(info.driver),
        # Docker Desktop keeps its volumes inside a machine of its own.
        local=local and info.operating_system != "Docker Desktop",
        rootless=any("name=rootless" in option for option in security),
        swarm=info.swarm is not None and info.swarm.local_node_state == "active",
        clock_offset_seconds=offset,
    )


def _mounts(told: Iterable[MountShape], is_file: Callable[[str], bool | None]) -> tuple[Mount, ...]:
    """In an order of ours: the engine's is another one each time it is asked."""
    found = [_mount(one, is_file) for one in told if one.type in ("bind", "volume")]
    return tuple(sorted(found, key=lambda one: (one.destination, one.source)))


def _mount(told: MountShape, is_file: Callable[[str], bool | None]) -> Mount:
    source = cut(told.source or "", LONGEST_PATH)
    kind = MountKind.VOLUME if told.type == "volume" else MountKind.BIND
    return Mount(
        kind=kind,
        destination=cut(told.destination, LONGEST_PATH),
        source=source,
        name=cut(told.name or "") if kind is MountKind.VOLUME else "",
        writable=told.rw,
        driver=cut(told.driver or ""),
        is_file=is_file(source) if kind is MountKind.BIND else None,
    )


def _health(item: Item, seen: Inspect | None, state: ContainerState) -> Health:
    """Of a container that runs. API 1.52 lists it, older ones tell it in the status text, Podman by inspect alone."""
    if state not in (ContainerState.RUNNING, ContainerState.PAUSED):
        return Health.NONE
    if item.health is not None:
        return _health_word(item.health.status)
    if "(unhealthy)" in item.status:
        return Health.UNHEALTHY
    if "(healthy)" in item.status:
        return Health.HEALTHY
    if _STARTING in item.status:
        return Health.STARTING
    # The look may be older than the list: of an engine that tells it in the list it is not asked.
    return Health.NONE if seen is None or seen.state.health is None else _health_word(seen.state.health.status)


def _health_word(word: str) -> Health:
    try:
        return Health(word.casefold() or "none")
    except ValueError:
        return Health.NONE


def _exit_code(item: Item, seen: Inspect | None) -> int | None:
    """The list is newer than the look."""
    told = _EXIT_CODE.search(item.status)
    if told is not None:
        return int(told.group(1))
    return None if seen is None else seen.state.exit_code


def _since(seen: Inspect | None, state: ContainerState) -> datetime | None:
    if seen is None or state is ContainerState.CREATED:
        return None
    # Of a running container FinishedAt is its former life, and of a short one StartedAt may come after FinishedAt.
    if state in (ContainerState.RUNNING, ContainerState.PAUSED):
        return moment(seen.state.started_at)
    return moment(seen.state.finished_at)


def _created(item: Item) -> datetime | None:
    if isinstance(item.created, int) and 0 < item.created < 2**40:
        return datetime.fromtimestamp(item.created, UTC) if item.created < 2**36 else None
    return moment(item.created) if isinstance(item.created, str) else None


def _policy(seen: Inspect | None) -> str:
    if seen is None or seen.host_config is None or seen.host_config.restart_policy is None:
        return ""
    return cut(seen.host_config.restart_policy.name or "", 20)


def kept(items: Iterable[Item]) -> list[Item]:
    """The containers that count: without one-offs and helpers of our own."""
    return [item for item in items if not labels.is_ours_or_passing(item.labels)]
