"""What a task works on: datastore, namespace, group, job, read from its type and worker id.

Comes in: ``worker_type`` and ``worker_id``. Goes out: a ``Concern``, and the id without the time in it. The one
rule: a backup's id never names its namespace, so that None here is "nobody says" and an empty text is the root.
Outside format: worker ids of 3.2 to 4.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from lastgood.tools.pbs.shapes import moment

TYPES = ("vm", "ct", "host")
_TIME = re.compile(r"([:/](?:vm|ct|host)/[^/:]+)/([0-9A-F]{8})$")
"""After a group only, since a group may be called ``vm/10000001``."""
_TIMELESS = ("backup", "benchmark", "verify_group", "prune")
_CHANGES = (
    "verif",
    "prune",
    "sync",
    "move-",
    "s3-refresh",
    "delete",
    "create-datastore",
    "mount-device",
    "unmount-device",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """``namespace`` None: not said. ``type`` and ``id`` name a group, ``backup_at`` one snapshot of it."""

    store: str | None = None
    namespace: str | None = None
    type: str | None = None
    id: str | None = None
    backup_at: datetime | None = None
    job: str | None = None
    remote: str | None = None


def normal_id(worker_type: str, worker_id: str | None) -> str:
    """The same for every run on the same thing: without the time of one snapshot; empty for none."""
    if not worker_id or worker_type in _TIMELESS:
        return worker_id or ""
    return _TIME.sub(r"\1", worker_id)


def changes_snapshots(worker_type: str) -> bool:
    """Whether it may change what is known of snapshots without moving a group's count and last backup."""
    return worker_type.startswith(_CHANGES) and worker_type != "realm-sync"


def concern(worker_type: str, worker_id: str | None) -> Concern:
    if not worker_id:
        return Concern()
    read = _READERS.get(worker_type)
    return read(worker_id) if read else Concern()


def _backup(worker_id: str) -> Concern:
    """``store:type/id``."""
    store, _, group = worker_id.partition(":")
    kind, _, name = group.partition("/")
    if kind not in TYPES or not name:
        return Concern(store=store)
    return Concern(store=store, type=kind, id=name)


def _reader(worker_id: str) -> Concern:
    """``store:type/id/HEXTIME``, which does not say the namespace."""
    group, backup_at = _without_time(worker_id)
    return replace(_backup(group), backup_at=backup_at)


def _verify(worker_id: str) -> Concern:
    """``store``, ``store:ns/a/ns/b``, or after an upload as a reader's."""
    store, colon, rest = worker_id.partition(":")
    if colon and rest.partition("/")[0] in TYPES:
        return _reader(worker_id)
    return Concern(store=store, namespace=_namespace(rest) if colon else None)


def _verify_group(worker_id: str) -> Concern:
    """``store:ns/a/type/id``, for the root ``store:/type/id``."""
    store, colon, rest = worker_id.partition(":")
    parts = rest.rsplit("/", 2)
    if not colon or len(parts) != 3 or parts[1] not in TYPES:
        return Concern(store=store)
    space, kind, name = parts
    return Concern(store=store, namespace=_namespace(space), type=kind, id=name)


def _verify_snapshot(worker_id: str) -> Concern:
    """As a group's, and ``/HEXTIME``."""
    group, backup_at = _without_time(worker_id)
    return replace(_verify_group(group), backup_at=backup_at)


def _verify_job(worker_id: str) -> Concern:
    store, _, job = worker_id.partition(":")
    return Concern(store=store, job=job or None)


def _prune(worker_id: str) -> Concern:
    """``store:ns:type/id`` or ``store:ns``; the root is empty."""
    store, colon, rest = worker_id.partition(":")
    space, _, group = rest.partition(":")
    kind, _, name = group.partition("/")
    namespace = space if colon else None
    if kind not in TYPES or not name:
        return Concern(store=store, namespace=namespace)
    return Concern(store=store, namespace=namespace, type=kind, id=name)


def _prune_job(worker_id: str) -> Concern:
    """``store`` for the root, or ``store:ns``."""
    store, _, space = worker_id.partition(":")
    return Concern(store=store, namespace=space)


def _sync_job(worker_id: str) -> Concern:
    """``remote-or-dash:remotestore:localstore:ns:jobid``."""
    parts = worker_id.split(":")
    if len(parts) != 5:
        return Concern()
    remote, _, store, space, job = parts
    return Concern(store=store, namespace=space, job=job, remote=None if remote == "-" else remote)


def _tape(worker_id: str) -> Concern:
    """``store:pool:drive:jobid`` or without the job."""
    parts = worker_id.split(":")
    return Concern(store=parts[0], job=parts[3] if len(parts) == 4 else None)


def _store(worker_id: str) -> Concern:
    return Concern(store=worker_id.partition(":")[0])


_READERS = {
    "backup": _backup,
    "reader": _reader,
    "verify": _verify,
    "verify_group": _verify_group,
    "verify_snapshot": _verify_snapshot,
    "verificationjob": _verify_job,
    "prune": _prune,
    "prunejob": _prune_job,
    "garbage_collection": _store,
    "syncjob": _sync_job,
    "sync": _store,
    "tape-backup-job": _tape,
    "tape-backup": _tape,
    "create-datastore": _store,
    "delete-datastore": _store,
    "mount-device": _store,
    "unmount-device": _store,
    "s3-refresh": _store,
    "move-group": _store,
    "move-namespace": _store,
}


def _without_time(text: str) -> tuple[str, datetime | None]:
    found = _TIME.search(text)
    return (text[: found.end(1)], moment(int(found[2], 16))) if found else (text, None)


def _namespace(text: str) -> str:
    """``ns/a/ns/b``, as verifications write ``a/b``."""
    parts = text.split("/")
    if len(parts) > 1 and len(parts) % 2 == 0 and all(part == "ns" for part in parts[::2]):
        return "/".join(parts[1::2])
    return text
