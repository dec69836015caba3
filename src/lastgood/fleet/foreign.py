"""Backups that other tools say they make: offen/docker-volume-backup, restic-compose-backup and stack-back.

Containers of one host come in, an answer for the users of one place goes out. The one rule: labels and mounts tell
what a tool means to do, never that it did: what is seen here is seen, not proven, and needs a container of that tool
that runs. Labels as those projects document them; ``setting.*`` are the few settings the agent read of their
containers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lastgood.model.docker import Container, ContainerState, Mount, MountKind

OFFEN = "docker-volume-backup"
COMPOSE_TOOLS = ("restic-compose-backup", "stack-back")
SETTING = "setting."
SETTINGS: dict[str, tuple[str, ...]] = {
    OFFEN: ("BACKUP_SOURCES", "BACKUP_ARCHIVE"),
    "restic-compose-backup": ("INCLUDE_ALL_VOLUMES", "EXCLUDE_BIND_MOUNTS"),
    "stack-back": ("INCLUDE_ALL_VOLUMES", "INCLUDE_ALL_COMPOSE_PROJECTS", "EXCLUDE_BIND_MOUNTS"),
}
"""The settings of a tool's own container that may be read, none of which is a secret."""

_DUMPS = ("mariadb", "mysql", "postgres")
_User = tuple[Container, Mount]


@dataclass(frozen=True, slots=True)
class Seen:
    """``by`` says in a sentence which tool says that it backs a place up; ``remark`` why a label alone is no word."""

    by: str | None = None
    remark: str | None = None


NOT_SEEN = Seen()


def tool_of(image: str) -> str | None:
    """The backup tool whose image this is, by the last part of its name."""
    name = image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]
    return name if name in SETTINGS else None


class _Helpers:
    """The running containers of one tool. Found by project at once: a host may have thousands of containers."""

    def __init__(self) -> None:
        self._of_project: dict[str | None, tuple[int, Container]] = {}
        self._of_all: tuple[int, Container] | None = None
        self._count = 0

    def add(self, one: Container) -> None:
        self._count += 1
        self._of_project.setdefault(one.project, (self._count, one))
        if self._of_all is None and _is_true(_setting(one, "INCLUDE_ALL_COMPOSE_PROJECTS")):
            self._of_all = (self._count, one)

    def of(self, project: str | None) -> Container | None:
        """The first that takes care of this project."""
        found = [one for one in (self._of_project.get(project), self._of_all) if one is not None]
        return min(found, key=lambda one: one[0])[1] if found else None


class Foreign:
    """The backup tools of one host. What each container has to do with them is worked out once."""

    def __init__(self, containers: Iterable[Container]) -> None:
        self._tools: dict[str, _Helpers] = {}
        self._offen: set[str] = set()
        held = list(containers)
        for one in held:
            tool = tool_of(one.image)
            if tool == OFFEN:
                self._offen.add(one.key)
            if tool is not None and one.state is ContainerState.RUNNING:
                self._tools.setdefault(tool, _Helpers()).add(one)
        self._asked: dict[str, tuple[str, ...]] = {}
        for one in held:
            asked = tuple(tool for tool in COMPOSE_TOOLS if tool in self._tools or _names(one, tool))
            if asked:
                self._asked[one.key] = asked

    def seen(self, users: Sequence[_User]) -> Seen:
        """What the tools say of a place with these users."""
        remark = None
        for one, mount in users:
            if one.key in self._offen and one.state is ContainerState.RUNNING:
                folder = _setting(one, "BACKUP_SOURCES") or "/backup"
                if _is_within(mount.destination, folder):
                    return Seen(by=f"{one.name} ({OFFEN}) has it at {mount.destination}.")
        for one, mount in users:
            for tool in self._asked.get(one.key, ()):
                found = self._of_compose(tool, one, mount)
                if found.by is not None:
                    return found
                remark = remark or found.remark
        return Seen(remark=remark) if remark else NOT_SEEN

    def keeps_backups(self, users: Sequence[_User]) -> str | None:
        """Why a place needs no backup: a tool keeps its backups in it."""
        for one, mount in users:
            if one.key in self._offen and mount.destination == (_setting(one, "BACKUP_ARCHIVE") or "/archive"):
                return f"{one.name} ({OFFEN}) keeps its backups in it."
        return None

    def _of_compose(self, tool: str, one: Container, mount: Mount) -> Seen:
        labels = dict(one.labels)
        helpers = self._tools.get(tool)
        helper = None if helpers is None else helpers.of(one.project)
        dumped = next((kind for kind in _DUMPS if _is_true(labels.get(f"{tool}.{kind}"))), None)
        asked = labels.get(f"{tool}.volumes")
        everything = helper is not None and _is_true(_setting(helper, "INCLUDE_ALL_VOLUMES")) and asked is None
        if dumped is None and not _is_true(asked) and not everything:
            return NOT_SEEN
        if helper is None:
            return Seen(remark=f"{one.name} is labelled for {tool}, but no container of that runs in its project.")
        if dumped is not None and mount.writable:
            return Seen(by=f"{helper.name} ({tool}) dumps the {dumped} database of {one.name}.")
        if not _is_true(asked) and not everything:
            return NOT_SEEN
        if mount.kind is MountKind.BIND and _is_true(_setting(helper, "EXCLUDE_BIND_MOUNTS")):
            return NOT_SEEN
        included, excluded = _words(labels, f"{tool}.volumes.include"), _words(labels, f"{tool}.volumes.exclude")
        place = f"{mount.source}\n{mount.name}"
        if included and not any(word in place for word in included):
            return NOT_SEEN
        if any(word in place for word in excluded):
            return Seen(remark=f"A label of {one.name} takes it out of {tool}.")
        return Seen(by=f"{helper.name} ({tool}) takes the volumes of {one.name}.")


def _names(one: Container, tool: str) -> bool:
    return any(name.startswith(tool) for name, _ in one.labels)


def _setting(one: Container, name: str) -> str | None:
    return next((value for key, value in one.labels if key == SETTING + name), None)


def _words(labels: dict[str, str], name: str) -> list[str]:
    return [word for part in labels.get(name, "").split(",") if (word := part.strip())]


def _is_true(word: str | None) -> bool:
    return word is not None and word.strip().casefold() in ("true", "1", "yes", "on")


def _is_within(path: str, folder: str) -> bool:
    folder = folder.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
