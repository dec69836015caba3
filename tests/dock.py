"""Containers, volumes and inventories with sensible defaults; keywords override."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model import fact
from lastgood.model.docker import (
    Container,
    ContainerState,
    Engine,
    EngineState,
    Inventory,
    Mount,
    MountKind,
    Volume,
)
from lastgood.model.host import Host
from tests.builders import NOW

VOLUMES = "/var/lib/docker/volumes"
ANONYMOUS = "ab" * 32


def an_engine(**told: Any) -> Engine:
    given: dict[str, Any] = {
        "state": EngineState.UP,
        "endpoint": "unix:///var/run/docker.sock",
        "version": "20.10.24",
    }
    return Engine(**given | told)


def a_volume(name: str = "shop_data", **told: Any) -> Volume:
    given: dict[str, Any] = {"name": name, "mountpoint": f"{VOLUMES}/{name}/_data"}
    return Volume(**given | told)


def of_volume(name: str = "shop_data", destination: str = "/data", **told: Any) -> Mount:
    path = f"{VOLUMES}/{name}/_data"
    given: dict[str, Any] = {"kind": MountKind.VOLUME, "name": name, "source": path, "destination": destination}
    return Mount(**given | told)


def a_bind(source: str = "/srv/shop", destination: str = "/srv", **told: Any) -> Mount:
    given: dict[str, Any] = {"kind": MountKind.BIND, "source": source, "destination": destination}
    return Mount(**given | told)


def a_container(name: str = "web", *mounts: Mount, project: str | None = "shop", **told: Any) -> Container:
    given: dict[str, Any] = {
        "key": f"{project}/{name}/1" if project else name,
        "id": f"{name:0<12.12}",
        "name": f"{project}-{name}-1" if project else name,
        "image": "nginx:1",
        "state": ContainerState.RUNNING,
        "project": project,
        "service": name if project else None,
        "mounts": mounts,
    }
    return Container(**given | told)


def an_inventory(*containers: Container, volumes: tuple[Volume, ...] = (), **told: Any) -> Inventory:
    return Inventory(containers=containers, volumes=volumes, **told)


def listed(
    host: Host, inventory: Inventory, at: datetime = NOW, engine: Engine | None = None
) -> fact.InventoryListed:
    """What the agent of this host told."""
    return fact.InventoryListed(
        at=at,
        origin=fact.agent_origin(host.id),
        host_id=host.id,
        listed_at=at,
        engine=engine or an_engine(),
        inventory=inventory,
    )


def put_inventory(fleet: Fleet, host: Host, inventory: Inventory, at: datetime = NOW, **engine: Any) -> None:
    learn(fleet, listed(host, inventory, at, an_engine(**engine)))
