"""What an endpoint gets and gives: a `Call` comes in, plain data or a `Listing` goes out, a `Refusal` is raised.

A `Listing` is made row by row while it travels, so that a list of any length costs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import refusal
from .model import Store
from .world import World

NS_PRIVILEGES = ("Datastore.Audit", "Datastore.Backup")


@dataclass
class Listing:
    """Rows as JSON texts; ``groups`` and ``snapshots`` say how many the server must read before its first byte."""

    rows: Iterator[str]
    more: dict[str, Any] = field(default_factory=dict)
    groups: int = 0
    snapshots: int = 0


@dataclass
class Told:
    """Data with attributes beside it, such as ``digest`` and ``total``."""

    data: Any
    more: dict[str, Any]


@dataclass
class Call:
    world: World
    who: str
    place: dict[str, str]
    params: dict[str, Any]

    def allows(self, path: str, *any_of: str) -> bool:
        return self.world.access.allows(self.who, path, *any_of)

    def allows_store(self, store: str, ns: str = "") -> bool:
        return self.allows(acl_path(store, ns), *NS_PRIVILEGES)

    def sees_any_namespace(self, store: Store) -> bool:
        return any(self.allows_store(store.name, ns) for ns in store.namespaces)

    def owns(self, owner: str | None) -> bool:
        return owner is not None and (owner == self.who or owner.startswith(self.who + "!"))


@dataclass(frozen=True)
class Route:
    """One path of the API. ``params`` maps a name to its kind, or to ``kind@gate`` where versions differ."""

    path: str
    answer: Callable[[Call], Any]
    params: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()  # an ACL path and the privileges of which one suffices
    gate: str | None = None
    public: bool = False


def acl_path(store: str, ns: str = "") -> str:
    return f"/datastore/{store}/{ns}" if ns else f"/datastore/{store}"


def store_named(call: Call) -> Store:
    """The store of the path, if it can be read now; else what PBS says of it."""
    name = call.place["store"]
    store = call.world.stores.get(name)
    if store is None:
        raise refusal.bad_request(f"no such datastore '{name}'")
    trouble = unavailable(call.world, store)
    if trouble is not None:
        raise refusal.bad_request(trouble)
    return store


def unavailable(world: World, store: Store) -> str | None:
    """Why the store cannot be read, in the words of the server's version; None if it can."""
    if store.maintenance is not None:
        kind, message = store.maintenance
        why = {
            "offline": f"offline maintenance mode: {message}",
            "delete": "datastore is being deleted",
            "unmount": "datastore is being unmounted",
            "s3-refresh": f"S3 refresh maintenance mode: {message}",
        }.get(kind)
        if why is not None:
            words = "is unavailable:" if world.version.has("unavailable-wording") else "is in"
            return f"datastore '{store.name}' {words} {why}"
    return f"datastore '{store.name}' is not mounted" if is_absent(world, store) else None


def is_absent(world: World, store: Store) -> bool:
    """Before there were removable stores, every one was simply a folder that is there."""
    return store.removable and not store.mounted and world.version.has("removable")


def mount_status(world: World, store: Store) -> dict[str, str]:
    if not world.version.has("removable"):
        return {}
    if not store.removable:
        return {"mount-status": "nonremovable"}
    return {"mount-status": "mounted" if store.mounted else "notmounted"}


def backend_type(world: World, store: Store) -> dict[str, str]:
    return {"backend-type": store.backend} if world.version.has("backend-type") else {}
