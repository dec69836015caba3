"""Everything an engine holds, in one look: the lists, and a closer look at what is new or changed.

A client and what events told come in, an ``Inventory`` goes out, small enough for a frame. The one rule: the lists
are the truth; events only say when to look and why something ended, so whatever events were lost, the next look is
right.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lastgood.errors import BadPayload
from lastgood.fleet.foreign import tool_of
from lastgood.model.docker import MOST_CONTAINERS, MOST_VOLUMES, Inventory, Labels
from lastgood.tools.docker import labels, translate
from lastgood.tools.docker.client import Client
from lastgood.tools.docker.lives import Lives
from lastgood.tools.docker.shapes import Inspect, Item, VolumeShape

AT_ONCE = 4
LARGEST = 900 * 1024
"""A frame holds a MiB."""

STAT_SECONDS = 5.0
"""A bind mount may lie on a server that is away."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """A closer look at a container, and how the list told of it then."""

    mark: tuple[str, str]
    seen: Inspect | None
    settings: Labels = ()


class Survey:
    """Looks at one engine again and again; ``local`` is whether its paths are paths of this machine."""

    def __init__(self, client: Client, lives: Lives, *, local: bool) -> None:
        self._client = client
        self._lives = lives
        self._looked: dict[str, _Looked] = {}
        self._files: dict[str, bool | None] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="docker") if local else None
        self.running: frozenset[str] = frozenset()
        """The full ids of the containers that ran at the last look."""

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def look(self, changed: Collection[str], now: float) -> Inventory:
        """What is there now; containers in ``changed`` are looked at closely again. ``now`` is the engine's clock."""
        items = translate.kept(await self._client.containers())
        volumes = (await self._client.volumes()).volumes or []
        self.running = frozenset(one.id for one in items if one.state in ("running", "paused", "restarting"))
        self._lives.forget_all_but({one.id for one in items})
        items.sort(key=translate.name_of)
        told = items[:MOST_CONTAINERS]
        self._looked = {one.id: self._looked[one.id] for one in told if one.id in self._looked}
        room = asyncio.Semaphore(AT_ONCE)

        async def closely(item: Item) -> None:
            async with room:
                self._looked[item.id] = await self._look_closely(item)

        async with asyncio.TaskGroup() as group:
            for item in told:
                known = self._looked.get(item.id)
                if known is None or known.mark != _mark(item) or item.id in changed:
                    group.create_task(closely(item))
        await self._look_for_files(told)
        return await asyncio.to_thread(self._inventory, told, len(items) - len(told), volumes, now)

    async def _look_closely(self, item: Item) -> _Looked:
        tool = tool_of(item.image)
        try:
            seen = await self._client.inspect(item.id)
            known = self._looked.get(item.id)
            if tool is None or known is not None:
                return _Looked(_mark(item), seen, () if known is None else known.settings)
            return _Looked(_mark(item), seen, labels.settings(tool, await self._client.tool_environment(item.id)))
        except BadPayload as error:
            if error.cause != "missing":
                raise
            return _Looked(_mark(item), None)  # it went between the list and the look

    def _inventory(self, items: list[Item], more: int, volumes: list[VolumeShape], now: float) -> Inventory:
        containers = []
        for item in items:
            looked = self._looked[item.id]
            ending, crashes = self._lives.ending(item.id), self._lives.crashes(item.id, now)
            containers.append(
                translate.container(item, looked.seen, ending, crashes, looked.settings, self._files.get)
            )
        volumes = sorted(volumes, key=lambda one: one.name)
        return fitting(
            Inventory(
                containers=tuple(containers),
                volumes=tuple(translate.volume(one) for one in volumes[:MOST_VOLUMES]),
                more_containers=more,
                more_volumes=max(len(volumes) - MOST_VOLUMES, 0),
            )
        )

    async def _look_for_files(self, items: list[Item]) -> None:
        """Which bind mounts are single files; nobody waits long for a disk that is away."""
        paths = {mount.source for one in items for mount in one.mounts or () if mount.type == "bind" and mount.source}
        self._files = {path: told for path, told in self._files.items() if path in paths}
        new = sorted(paths - self._files.keys())
        if self._thread is None or not new:
            return
        asking = asyncio.get_running_loop().run_in_executor(self._thread, _files, new)
        try:
            async with asyncio.timeout(STAT_SECONDS):
                self._files |= await asking
        except TimeoutError:
            self._files |= dict.fromkeys(new)
            self.close()
            self._thread = None


def fitting(inventory: Inventory) -> Inventory:
    """As much of it as a frame holds; the rest is counted."""
    while (size := len(msgspec.json.encode(inventory))) > LARGEST:
        share = min(LARGEST / size * 0.95, 0.9)
        containers = inventory.containers[: int(len(inventory.containers) * share)]
        volumes = inventory.volumes[: int(len(inventory.volumes) * share)]
        inventory = replace(
            inventory,
            containers=containers,
            volumes=volumes,
            more_containers=inventory.more_containers + len(inventory.containers) - len(containers),
            more_volumes=inventory.more_volumes + len(inventory.volumes) - len(volumes),
        )
    return inventory


def _mark(item: Item) -> tuple[str, str]:
    """What of a list's entry says that the container should be looked at again: not how long ago something was."""
    status = item.status.partition(")")[0] if item.status.startswith(("Exited", "Restarting")) else ""
    return item.state, status


def _files(paths: list[str]) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    for path in paths:
        try:
            found[path] = stat.S_ISREG(Path(path).stat().st_mode)
        except (OSError, ValueError):
            found[path] = None
    return found
