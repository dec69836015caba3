"""The names of the other PBS exporter (natrontech/pbs-exporter), as a vocabulary of its own for a path of its own.

Takes the pictures that ``pbs_*`` stands on. Some names mean something else than the same names there, so the two
never share a page. Guests are told by id alone, as theirs are: vm/100 and ct/100 are one. The one rule: where theirs
says 0 for what it could not read, here is no row; and only finished snapshots count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lastgood.metrics.entities import epoch
from lastgood.metrics.family import Entity, Family, Value
from lastgood.metrics.pbs import server as ours
from lastgood.metrics.pbs.rows import SERVER_LABEL, of_node, of_part
from lastgood.metrics.pbs.view import BETWEEN, STORE, PbsView, key, server_of, short
from lastgood.metrics.pbs.view import gather as gather_ours
from lastgood.metrics.vocabulary import Collected, Vocabulary
from lastgood.model.pbs import Group, PbsPicture, Verification

PATH = "/metrics/natrontech"


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirView(PbsView):
    """Groups by (datastore, namespace), and by (datastore, namespace, id of the guest)."""

    namespaces: Mapping[str, tuple[Group, ...]]
    guests: Mapping[str, tuple[Group, ...]]


def gather(pictures: Mapping[str, object], before: TheirView | None) -> TheirView | None:
    view = gather_ours(pictures, before)
    if view is None:
        return None
    namespaces: dict[str, tuple[Group, ...]] = {
        key(server, store.name, namespace): ()
        for server, picture in view.servers.items()
        if picture is not None
        for store in picture.datastores.values()
        for namespace in store.namespaces or ()
        if namespace not in store.unreadable_namespaces
    }
    guests: dict[str, tuple[Group, ...]] = {}
    for group_id, group in view.groups.items():
        place = key(server_of(group_id), group.store, group.namespace)
        guest = key(place, group.backup_id)
        guests[guest] = (*guests.get(guest, ()), group)
    for place, held in _by_place(view.groups).items():
        namespaces[place] = tuple(held)
    return TheirView(
        servers=view.servers,
        groups=view.groups,
        snapshots=view.snapshots,
        lasts=view.lasts,
        cut=view.cut,
        by_server=view.by_server,
        namespaces=namespaces,
        guests=guests,
    )


def _by_place(groups: Mapping[str, Group]) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for group_id, group in groups.items():
        found.setdefault(key(server_of(group_id), group.store, group.namespace), []).append(group)
    return found


NAMESPACE: Entity[TheirView] = Entity("namespace", lambda view: sorted(view.namespaces))
GUEST: Entity[TheirView] = Entity("guest", lambda view: sorted(view.guests), lambda view: view.guests)


def _counted(groups: Iterable[Group]) -> Value:
    """Finished snapshots; None while some group was not listed yet."""
    counts = [group.finished for group in groups]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _newest(groups: Iterable[Group]) -> Group | None:
    """The group whose newest finished snapshot is the newest."""
    dated = [(group.last_complete.backup_at, group.id, group) for group in groups if group.last_complete is not None]
    return max(dated)[2] if dated else None


def _last_timestamp(groups: tuple[Group, ...]) -> Value:
    newest = _newest(groups)
    return None if newest is None or newest.last_complete is None else epoch(newest.last_complete.backup_at)


def _last_verify(groups: tuple[Group, ...]) -> Value:
    newest = _newest(groups)
    if newest is None or newest.last_complete is None or newest.last_complete.verification is Verification.NONE:
        return None
    return newest.last_complete.verification is Verification.OK


def _guest_labels(view: TheirView, guest_id: str) -> tuple[str, ...]:
    groups = view.guests[guest_id]
    newest, one = _newest(groups), groups[0]
    name = "" if newest is None or newest.last_complete is None else short(newest.last_complete.comment)
    return one.store, one.namespace, one.backup_id, name, server_of(guest_id)


def _guest(name: str, help_: str, value: Callable[[tuple[Group, ...]], Value]) -> Family[TheirView]:
    return Family(
        name=name,
        help=help_,
        entity=GUEST,
        label_names=("datastore", "namespace", "vm_id", "vm_name", *SERVER_LABEL),
        labels=_guest_labels,
        optional=SERVER_LABEL,
        value=lambda view, guest_id: value(view.guests[guest_id]),
    )


def _namespace_labels(_view: TheirView, thing_id: str) -> tuple[str, ...]:
    server, store, namespace = thing_id.split(BETWEEN, 2)
    return store, namespace, server


def _of_store(name: str, help_: str, value: Callable[[PbsPicture, str], Value]) -> Family[PbsView]:
    return of_part(name, help_, STORE, ("datastore",), lambda picture, parts: value(picture, parts[0]))


FAMILIES: tuple[Family[TheirView] | Family[PbsView], ...] = (
    ours.UP,
    ours.VERSION,
    *ours.NODE,
    *ours.SUBSCRIPTION,
    _of_store(
        "pbs_size", "Size of the datastore in bytes.", lambda picture, name: picture.datastores[name].total_bytes
    ),
    _of_store("pbs_used", "Used bytes.", lambda picture, name: picture.datastores[name].used_bytes),
    _of_store("pbs_available", "Available bytes.", lambda picture, name: picture.datastores[name].available_bytes),
    of_node("pbs_host_memory_free", "Free memory in bytes.", lambda node: node.memory.free),
    of_node("pbs_host_memory_total", "Memory of the host in bytes.", lambda node: node.memory.total),
    of_node("pbs_host_memory_used", "Memory in use in bytes.", lambda node: node.memory.used),
    of_node("pbs_host_swap_free", "Free swap space in bytes.", lambda node: node.swap.free),
    of_node("pbs_host_swap_total", "Swap space in bytes.", lambda node: node.swap.total),
    of_node("pbs_host_swap_used", "Swap space in use in bytes.", lambda node: node.swap.used),
    of_node("pbs_host_disk_available", "Available on the root file system in bytes.", lambda node: node.rootfs.free),
    of_node("pbs_host_disk_total", "Size of the root file system in bytes.", lambda node: node.rootfs.total),
    of_node("pbs_host_disk_used", "Root file system in use in bytes.", lambda node: node.rootfs.used),
    of_node("pbs_host_uptime", "Seconds since the host started.", lambda node: node.uptime_seconds),
    Family(
        name="pbs_snapshot_count",
        help="Finished snapshots of the namespace.",
        entity=NAMESPACE,
        label_names=("datastore", "namespace", *SERVER_LABEL),
        labels=_namespace_labels,
        optional=SERVER_LABEL,
        value=lambda view, thing_id: _counted(view.namespaces[thing_id]),
    ),
    _guest("pbs_snapshot_vm_count", "Finished snapshots of the guest.", _counted),
    _guest(
        "pbs_snapshot_vm_last_timestamp",
        "Unix time at which its newest finished snapshot was begun.",
        _last_timestamp,
    ),
    _guest(
        "pbs_snapshot_vm_last_verify",
        "1 if its newest finished snapshot was verified well, 0 if not well; no row if it was not verified.",
        _last_verify,
    ),
)

VOCABULARY = Vocabulary(
    name="natrontech",
    purpose="The names of the other PBS exporter, on a path of their own.",
    collected=Collected(families=FAMILIES, gather=gather),
)
