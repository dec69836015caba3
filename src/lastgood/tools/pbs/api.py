"""One Proxmox Backup Server as functions: one for each endpoint that we read, each gives shapes.

Comes in: the server's settings. Goes out: shapes, or ``Refused``, ``Unreachable``, ``BadPayload`` with a ``cause``.
The one rule: nothing is asked that changes or wakes anything on the server; never more than four things at once,
and snapshots one list at a time. Outside format: GET below ``/api2/json``, 3.2 to 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from lastgood.config.servers import PbsServer
from lastgood.model.pbs import Traffic
from lastgood.tools.pbs.asking import LIST, NOTHING, SMALL, SNAPSHOTS, Asking, Params
from lastgood.tools.pbs.job_shapes import JobRow, PruneJob, SyncJob, TapeJob, TaskRow, TaskState, VerifyJob
from lastgood.tools.pbs.reading import ListReader, OneReader, any_row
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import (
    DatastoreConfig,
    DatastoreRow,
    Drive,
    GcRow,
    GroupRow,
    Media,
    Namespace,
    NodeStatus,
    Permissions,
    SnapshotRow,
    StoreStatus,
    Subscription,
    Usage,
    Version,
)
from lastgood.tools.pbs.versions import Build, Gate
from lastgood.tools.tls import Certificate

Shape = TypeVar("Shape")
T = TypeVar("T")


class Api:
    """``build`` is that of the newest answer to ``version``. ``close`` it at the end; made without asking anything.

    Raises ConfigError if the settings cannot be those of a server.
    """

    def __init__(self, server: PbsServer) -> None:
        self._asking = Asking(server)
        self.build: Build | None = None

    @property
    def tls_verified(self) -> bool:
        return self._asking.is_verified

    @property
    def certificate(self) -> Certificate | None:
        """What the newest handshake showed."""
        return self._asking.certificate

    @property
    def traffic(self) -> Traffic:
        return self._asking.traffic

    async def close(self) -> None:
        await self._asking.close()

    # The server

    async def version(self) -> Version:
        told = await self._one(Version, "version")
        self.build = Build.told(told.version, told.release)
        return told

    async def node_status(self) -> NodeStatus:
        return await self._one(NodeStatus, "nodes/localhost/status")

    async def subscription(self) -> Subscription:
        return await self._one(Subscription, "nodes/localhost/subscription")

    async def permissions(self, *exactly: str) -> Permissions:
        """What the token may do, by path; ``exactly`` are paths asked for one by one, since the list leaves out where
        nothing may be done: they are there in any case, empty for nothing."""
        held = await self._one(Permissions, "access/permissions")
        for path in exactly:
            told = await self._one(Permissions, "access/permissions", {"path": path})
            held[path] = told.get(path, {})
        return held

    # Datastores

    async def usage(self) -> Rows[Usage]:
        return await self._list(Usage, "status/datastore-usage", lambda row: row.store)

    async def datastores(self) -> Rows[DatastoreRow]:
        return await self._list(DatastoreRow, "admin/datastore", lambda row: row.store)

    async def datastore_configs(self) -> Rows[DatastoreConfig]:
        return await self._list(DatastoreConfig, "config/datastore", lambda row: row.name)

    async def store_status(self, store: str) -> StoreStatus:
        return await self._one(StoreStatus, f"admin/datastore/{_step(store)}/status")

    async def namespaces(self, store: str) -> Rows[Namespace]:
        """All that may be seen, however deep; the root is empty."""
        return await self._list(Namespace, f"admin/datastore/{_step(store)}/namespace", lambda row: row.ns)

    async def groups(self, store: str, ns: str) -> Rows[GroupRow]:
        """Those of this one namespace."""
        path = f"admin/datastore/{_step(store)}/groups"
        return await self._list(GroupRow, path, lambda row: (row.backup_type, row.backup_id), {"ns": ns or None})

    async def snapshots(
        self,
        store: str,
        ns: str,
        *,
        group: tuple[str, str] | None = None,
        into: Callable[[SnapshotRow], T] = any_row,
    ) -> Rows[T]:
        """Those of this one namespace or ``(type, id)`` in it, in no order; empty, too, if the group is gone.

        ``into`` is called for each in a thread, and what it gives is kept: less than the row, where the list is long.
        """
        kind, name = group or (None, None)
        return await self._asking.read(
            f"admin/datastore/{_step(store)}/snapshots",
            {"ns": ns or None, "backup-type": kind, "backup-id": name},
            SNAPSHOTS,
            lambda asked: ListReader(SnapshotRow, asked, into=into, key=_snapshot_key),
        )

    # Jobs and tasks

    async def gc_jobs(self) -> Rows[GcRow]:
        """Of every datastore that can be read; the others are left out without a word."""
        return await self._list(GcRow, "admin/gc", lambda row: row.store)

    async def gc(self, store: str) -> GcRow:
        return await self._one(GcRow, f"admin/datastore/{_step(store)}/gc")

    async def verify_jobs(self) -> Rows[VerifyJob]:
        return await self._list(VerifyJob, "admin/verify", _job_key)

    async def prune_jobs(self) -> Rows[PruneJob]:
        return await self._list(PruneJob, "admin/prune", _job_key)

    async def sync_jobs(self) -> Rows[SyncJob]:
        """Pull and push alike, where there are both; without Remote.Audit some are left out without a word."""
        if self.build is None:
            await self.version()
        direction = "all" if self.build and self.build.has(Gate.SYNC_DIRECTION) else None
        return await self._list(SyncJob, "admin/sync", _job_key, {"sync-direction": direction})

    async def running_tasks(self) -> Rows[TaskRow]:
        """All of them; without Sys.Audit on /system/tasks only the token's own, without a word."""
        return await self._tasks(running=1)

    async def tasks_since(self, since: int) -> Rows[TaskRow]:
        """Those that began at ``since`` (epoch) or later, newest end first; running ones, too."""
        return await self._tasks(since=since)

    async def task(self, upid: str) -> TaskState:
        return await self._one(TaskState, f"nodes/localhost/tasks/{_step(upid)}/status")

    # Tapes

    async def tape_jobs(self) -> Rows[TapeJob]:
        return await self._list(TapeJob, "tape/backup", _job_key)

    async def drives(self) -> Rows[Drive]:
        """As the configuration and the host know them: no drive is asked what it does."""
        return await self._list(Drive, "tape/drive", lambda row: row.name, {"query-activity": 0})

    async def media(self) -> Rows[Media]:
        """As last inventoried: no robot moves for it."""
        path = "tape/media/list"
        return await self._list(Media, path, lambda row: (row.uuid, row.label_text), {"update-status": 0})

    async def _tasks(self, **which: int) -> Rows[TaskRow]:
        # The limit is 50 unless it is said, and 0 is none.
        return await self._list(TaskRow, "nodes/localhost/tasks", lambda row: row.upid, {"limit": 0, **which})

    async def _one(self, shape: type[T], path: str, params: Params = NOTHING) -> T:
        return await self._asking.read(path, params, SMALL, lambda asked: OneReader(shape, asked))

    async def _list(
        self, shape: type[Shape], path: str, key: Callable[[Shape], Any], params: Params = NOTHING
    ) -> Rows[Shape]:
        def made(asked: str) -> ListReader[Shape, Shape]:
            return ListReader(shape, asked, into=any_row, key=key)

        return await self._asking.read(path, params, LIST, made)


def _snapshot_key(row: SnapshotRow) -> tuple[str, str, int]:
    return row.backup_type, row.backup_id, row.backup_time


def _job_key(row: JobRow) -> tuple[str, str]:
    return row.store, row.id


def _step(text: str) -> str:
    """One step of a path: what stands in it may be any text."""
    return quote(text, safe="")
