"""Which places on a Docker host hold data: each named volume, bind mount and anonymous volume, once.

An inventory comes in, ``Subject`` goes out; ``fleet/coverage.py`` answers for each whether it is backed up. The one
rule: a place has the same key for as long as it is the same place, whatever containers are made anew around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lastgood.fleet.foreign import Foreign
from lastgood.model.docker import Container, ContainerState, Engine, Inventory, Mount, MountKind, Subject, Volume

EXCLUDE = "lastgood.exclude"
_SYSTEM = ("/proc", "/sys", "/dev", "/run", "/var/run", "/usr/share/zoneinfo", "/lib/modules", "/boot")
_MACHINE = (
    "/etc/localtime",
    "/etc/timezone",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/group",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/usr/share/ca-certificates",
)
_BELOW_SYSTEM = tuple(f"{top}/" for top in _SYSTEM)
_BELOW_MACHINE = tuple(f"{top}/" for top in _MACHINE)
_WHOLE = ("/", "/var", "/var/log", "/etc", "/usr", "/lib")
_ON = (ContainerState.RUNNING, ContainerState.PAUSED)


@dataclass(slots=True)
class _Place:
    """One place while its containers are gathered."""

    key: str
    kind: MountKind
    title: str
    path: str
    volume: Volume | None = None
    is_anonymous: bool = False
    users: list[tuple[Container, Mount]] = field(default_factory=list)


def subjects_of(inventory: Inventory, engine: Engine) -> tuple[Subject, ...]:
    """Every place of data that an inventory names, by key."""
    volumes = {volume.name: volume for volume in inventory.volumes}
    places: dict[str, _Place] = {}
    for container in inventory.containers:
        for mount in container.mounts:
            place = _place(container, mount, volumes.get(mount.name))
            places.setdefault(place.key, place).users.append((container, mount))
    mounted = {mount.name for one in inventory.containers for mount in one.mounts if mount.name}
    for volume in inventory.volumes:
        if volume.name not in mounted:
            key = f"volume:{volume.name}"
            places[key] = _Place(
                key, MountKind.VOLUME, volume.name, volume.mountpoint, volume, is_anonymous=volume.is_anonymous
            )
    foreign = Foreign(inventory.containers)
    words = {one.key: word for one in inventory.containers if (word := _word(one)) is not None}
    return tuple(_subject(places[key], engine, foreign, words) for key in sorted(places))


def _place(container: Container, mount: Mount, volume: Volume | None) -> _Place:
    if mount.kind is MountKind.BIND:
        return _Place(f"bind:{mount.source}", MountKind.BIND, mount.source, mount.source)
    path = mount.source or ("" if volume is None else volume.mountpoint)
    if volume is not None and volume.is_anonymous:
        key = f"anonymous:{container.key}:{mount.destination}"
        return _Place(key, MountKind.VOLUME, f"{container.name}:{mount.destination}", path, volume, is_anonymous=True)
    return _Place(f"volume:{mount.name}", MountKind.VOLUME, mount.name, path, volume)


def _subject(place: _Place, engine: Engine, foreign: Foreign, words: Mapping[str, str]) -> Subject:
    seen = foreign.seen(place.users)
    projects = {one.project for one, _ in place.users if one.project is not None}
    if place.volume is not None and place.volume.project is not None:
        projects.add(place.volume.project)
    return Subject(
        key=place.key,
        kind=place.kind,
        title=place.title,
        path=place.path if engine.local else "",
        users=tuple(sorted({one.key for one, _ in place.users})),
        projects=tuple(sorted(projects)),
        is_anonymous=place.is_anonymous,
        excluded_because=_by_label(place, words) or _by_rule(place) or foreign.keeps_backups(place.users),
        seen_by=seen.by,
        hidden_because=_hidden(place, engine),
        remark=seen.remark,
    )


def _word(one: Container | Volume) -> str | None:
    """What a label says of why this needs no backup; None if it says nothing of the kind."""
    said = next((value.strip() for name, value in one.labels if name == EXCLUDE), None)
    return None if said is None or said.casefold() in ("false", "0", "no") else said


def _by_label(place: _Place, words: Mapping[str, str]) -> str | None:
    """The word of a label. On a container it speaks for what no container without it uses."""
    word = None if place.volume is None else _word(place.volume)
    if word is None:
        if not words or not place.users or any(one.key not in words for one, _ in place.users):
            return None
        word = words[place.users[0][0].key]
    reason = "" if word.casefold() in ("", "true", "1", "yes") else f": {word}"
    return f"Its label {EXCLUDE} says so{reason}."


def _by_rule(place: _Place) -> str | None:
    """What holds no data of its own, whoever uses it."""
    if place.is_anonymous and not place.users:
        return "No container has this anonymous volume any more."
    if place.kind is not MountKind.BIND:
        return None
    path = place.path
    read_only = all(not mount.writable for _, mount in place.users)
    if path.endswith(".sock"):
        return "It is a socket, which holds no data."
    if path in _SYSTEM or path.startswith(_BELOW_SYSTEM):
        return "It belongs to the running system and holds no data."
    if path in _MACHINE or path.startswith(_BELOW_MACHINE):
        return "It is part of the machine's own setup, not of this container's data."
    if read_only and path in _WHOLE:
        return "It is a folder of the system that containers only read."
    if read_only and all(mount.is_file is True for _, mount in place.users):
        return "It is a single file that containers only read."
    return None


def _hidden(place: _Place, engine: Engine) -> str | None:
    if not engine.local:
        return "Its engine is on another machine, so no path of this host shows it."
    volume = place.volume
    if volume is not None and volume.is_mounted_on_demand and not _in_use(place.users):
        return "Its folder is empty while no container that has it runs; its driver mounts it only then."
    if place.kind is MountKind.VOLUME and not place.path:
        return "Its driver names no path of this host for it."
    return None


def _in_use(users: Sequence[tuple[Container, Mount]]) -> bool:
    return any(one.state in _ON for one, _ in users)
