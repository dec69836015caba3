"""Payloads as engines send them: lists, inspect, events, volumes, info. Only fields that we use are decoded.

Docker Engine API 1.41 to 1.52, and Podman's answers in the same shapes. The one rule: ``Config.Env``, commands and
the text of ``exec`` have no field here, so that they are never so much as decoded; ``ToolInspect`` alone reads the
environment, of the containers of known backup tools, for settings that are no secrets.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec


class Shape(msgspec.Struct, frozen=True, rename="pascal"):
    """Base of all shapes; fields that are not named are ignored."""


class MountShape(Shape, frozen=True):
    type: str = ""
    name: str | None = None
    source: str | None = None
    destination: str = ""
    driver: str | None = None
    rw: bool = msgspec.field(default=True, name="RW")


class HealthShape(Shape, frozen=True):
    status: str = ""


class Item(Shape, frozen=True):
    """An entry of ``/containers/json``; ``health`` only from API 1.52 on."""

    id: str
    names: list[str] | None = None
    image: str = ""
    created: Any = None
    state: str = ""
    status: str = ""
    labels: dict[str, str] | None = None
    mounts: list[MountShape] | None = None
    health: HealthShape | None = None


class StateShape(Shape, frozen=True):
    status: str = ""
    exit_code: int | None = None
    oom_killed: bool = msgspec.field(default=False, name="OOMKilled")
    started_at: str = ""
    finished_at: str = ""
    health: HealthShape | None = None


class RestartPolicy(Shape, frozen=True):
    name: str | None = None


class HostConfig(Shape, frozen=True):
    restart_policy: RestartPolicy | None = None


class Inspect(Shape, frozen=True):
    id: str
    state: StateShape = StateShape()
    host_config: HostConfig | None = None


class ToolConfig(Shape, frozen=True):
    env: list[str] | None = None


class ToolInspect(Shape, frozen=True):
    """Of a container of a backup tool."""

    config: ToolConfig | None = None


class VolumeShape(Shape, frozen=True):
    name: str
    driver: str = ""
    mountpoint: str = ""
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None


class Volumes(Shape, frozen=True):
    volumes: list[VolumeShape] | None = None


class Swarm(Shape, frozen=True):
    local_node_state: str = ""


class Info(Shape, frozen=True):
    name: str = ""
    server_version: str = ""
    docker_root_dir: str = ""
    driver: str = ""
    operating_system: str = ""
    system_time: str = ""
    security_options: list[str] | None = None
    swarm: Swarm | None = None


class Attributes(msgspec.Struct, frozen=True):
    """Of an event, beside all labels of its container, which are not read."""

    exit_code: str | None = msgspec.field(default=None, name="exitCode")
    contained: str | None = msgspec.field(default=None, name="containerExitCode")
    signal: str | None = None
    name: str | None = None


class Actor(msgspec.Struct, frozen=True):
    id: str = msgspec.field(default="", name="ID")
    attributes: Attributes | None = msgspec.field(default=None, name="Attributes")


class Event(msgspec.Struct, frozen=True):
    """One line of ``/events``; engines of API 1.52 leave out ``status``, ``id`` and ``from``, which nobody needs."""

    type: str = msgspec.field(default="", name="Type")
    action: str = msgspec.field(default="", name="Action")
    actor: Actor = msgspec.field(default=Actor(), name="Actor")
    time: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    nanoseconds: int = msgspec.field(default=0, name="timeNano")


class Fault(msgspec.Struct, frozen=True):
    message: str = ""


def moment(text: str) -> datetime | None:
    """A moment of the engine; None for its zero time, and for what is none. Its nine digits become six."""
    if not text or text.startswith("0001-"):
        return None
    try:
        told = msgspec.convert(_cut(text), datetime, strict=False)
    except (msgspec.ValidationError, ValueError):
        return None
    return told if told.tzinfo is not None else None


def _cut(text: str) -> str:
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[: min(digits, 6)]}{tail[digits:]}"
