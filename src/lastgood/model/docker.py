"""Docker on a host: its engine, containers, volumes, stacks, and what covers the data that stands in them.

Comes in: what an agent saw at its engine's socket. Goes out: facts, pages, metrics. The one rule: nothing of a
container's environment, commands or unknown labels is in here, so none of it can leave the host. Words of the Docker
Engine API 1.41 and later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MOST_CONTAINERS = 2_000
MOST_VOLUMES = 2_000
"""So many of a host are told one by one; beyond that they are counted."""

LOOP_CRASHES = 3
"""So many crashes within the agent's window are a crash loop, whatever the state is at this moment."""


class ContainerState(StrEnum):
    """The engine's own states; each container is in exactly one."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """A second axis beside the state; ``none`` where no check is configured."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Ending(StrEnum):
    """Why a container that does not run has ended.

    ``asked``: somebody stopped it. ``crashed``: nobody did. ``engine``: it went down with its engine.
    """

    ASKED = "asked"
    CRASHED = "crashed"
    ENGINE = "engine"


class StackState(StrEnum):
    """The rules stand in ``fleet/docker.py``."""

    ERROR = "error"
    PARTIAL = "partial"
    PAUSED = "paused"
    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class EngineState(StrEnum):
    """How the engine met its agent.

    ``silent``: it takes the connection and answers nothing. ``down``: nobody listens. ``refused``: the agent may
    not ask. ``unsupported``: its endpoint or version is none that we speak. ``off``: this host does not want it
    looked at, and what was known of it is forgotten.
    """

    UP = "up"
    SILENT = "silent"
    DOWN = "down"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"
    OFF = "off"


class MountKind(StrEnum):
    VOLUME = "volume"
    BIND = "bind"


Labels = tuple[tuple[str, str], ...]
"""The labels that we read, by name; no others travel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine as its agent sees it. ``message`` is a sentence that says why it is not up.

    ``local`` is whether paths of its volumes are paths of the agent's machine. ``clock_offset_seconds`` is how far
    its clock is ahead of the agent's. ``restarted_at`` is when it was last seen to come back after it had gone.
    """

    state: EngineState
    endpoint: str = ""
    kind: str = "docker"
    version: str | None = None
    api_version: str | None = None
    message: str | None = None
    name: str = ""
    root_dir: str = ""
    storage_driver: str = ""
    local: bool = True
    rootless: bool = False
    swarm: bool = False
    clock_offset_seconds: int | None = None
    restarted_at: datetime | None = None
    silent_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What a container has mounted. ``source`` is the path on the host, ``name`` that of a volume.

    ``is_file`` is None where nobody could look.
    """

    kind: MountKind
    destination: str
    source: str = ""
    name: str = ""
    writable: bool = True
    driver: str = ""
    is_file: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container. ``key`` stays the same when it is made anew: its project, service and number, else its name.

    ``since`` is when its state began, by the engine's clock. ``ending`` is None while it runs, and where nobody saw
    how it ended. ``crashes`` are those of the agent's window.
    """

    key: str
    id: str
    name: str
    image: str
    state: ContainerState
    health: Health = Health.NONE
    project: str | None = None
    service: str | None = None
    created_at: datetime | None = None
    since: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    ending: Ending | None = None
    crashes: int = 0
    restart_policy: str = ""
    labels: Labels = ()
    mounts: tuple[Mount, ...] = ()

    @property
    def is_looping(self) -> bool:
        return self.crashes >= LOOP_CRASHES


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume that the engine knows, whether a container uses it or not.

    ``is_mounted_on_demand``: its driver options make its folder empty while no container uses it.
    """

    name: str
    mountpoint: str
    driver: str = "local"
    project: str | None = None
    is_anonymous: bool = False
    is_mounted_on_demand: bool = False
    labels: Labels = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that one look at an engine saw. ``more_*`` are those beyond the bound, which are counted only."""

    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    more_containers: int = 0
    more_volumes: int = 0


NO_INVENTORY = Inventory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The containers of one Compose project on one host, one-offs left out; the same project on two hosts is two."""

    host_id: str
    project: str
    state: StackState
    containers: tuple[Container, ...]
    reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.host_id, self.project

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(sorted({one.service or one.name for one in self.containers}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Since when a place of data is known. ``seen_at`` None: it stood there before we first looked."""

    subject: str
    seen_at: datetime | None = None
    gone_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A person's word that a place of data needs no backup."""

    subject: str
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerHost:
    """All that is known of the engine of one host.

    ``listed_at`` is when ``inventory`` was seen, ``engine_at`` when the engine was last told of; the inventory stays
    as it was while the engine or the host is away.
    """

    engine: Engine
    engine_at: datetime
    listed_at: datetime | None = None
    inventory: Inventory = NO_INVENTORY
    sightings: tuple[Sighting, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()


class Answer(StrEnum):
    """What can be said of the backup of one place of data.

    ``backed_up``: a source of ours covers it and has a last good backup. ``seen``: another tool says by its labels
    that it backs it up; nothing of that is proven. ``excluded``: it needs none, and the reason is told. ``never``: no
    backup of it is known.
    """

    BACKED_UP = "backed_up"
    SEEN = "seen"
    EXCLUDED = "excluded"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One place of data on a host: a named volume, a bind mount, or an anonymous volume of a container.

    ``key`` stays the same for as long as the place does; ``users`` are the keys of the containers that have it.
    """

    key: str
    kind: MountKind
    title: str
    path: str
    """Where it stands on the host; empty where that is no path of this machine."""
    users: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    is_anonymous: bool = False
    excluded_because: str | None = None
    seen_by: str | None = None
    hidden_because: str | None = None
    """Why its path does not show what is in it, whoever reads that."""
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The answer about one subject. ``because`` is a sentence; ``source_id`` the source that covers it, if one."""

    host_id: str
    subject: Subject
    answer: Answer
    because: str
    source_id: str | None = None
    last_good_at: datetime | None = None
    excluded_by: str | None = None
