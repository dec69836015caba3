"""Jobs and tasks as Proxmox Backup Server tells them.

Comes in: one row of an answer. Goes out: a struct for ``tools/pbs`` alone. The one rule is that of ``shapes.py``.
Rows of the task list have underscores, all others hyphens. Outside format: ``admin/{sync,verify,prune}``,
``tape/backup``, ``nodes/localhost/tasks``, 3.2 to 4.2.
"""

from __future__ import annotations

from msgspec import Struct

from lastgood.tools.pbs.shapes import Count, Epoch, Name, Shape


class JobRow(Shape, frozen=True, kw_only=True):
    """What every job has. Never ran: none of the ``last_run_*``; running: ``last_run_upid`` alone."""

    id: Name
    store: Name
    schedule: str | None = None
    comment: str | None = None
    next_run: Epoch | None = None
    last_run_state: str | None = None
    last_run_upid: str | None = None
    last_run_endtime: Epoch | None = None

    @property
    def is_running(self) -> bool:
        return self.last_run_upid is not None and self.last_run_state is None and self.last_run_endtime is None


class VerifyJob(JobRow, frozen=True, kw_only=True):
    """``outdated_after`` in days."""

    ns: str | None = None
    max_depth: Count | None = None
    ignore_verified: bool | None = None
    outdated_after: Count | None = None


class PruneJob(JobRow, frozen=True, kw_only=True):
    ns: str | None = None
    max_depth: Count | None = None
    disable: bool = False
    keep_last: Count | None = None
    keep_hourly: Count | None = None
    keep_daily: Count | None = None
    keep_weekly: Count | None = None
    keep_monthly: Count | None = None
    keep_yearly: Count | None = None


class SyncJob(JobRow, frozen=True, kw_only=True):
    """Without ``remote`` it copies within the server; without ``sync_direction`` it pulls."""

    ns: str | None = None
    remote: str | None = None
    remote_store: str | None = None
    remote_ns: str | None = None
    sync_direction: str | None = None
    max_depth: Count | None = None
    remove_vanished: bool | None = None
    encrypted_only: bool | None = None
    verified_only: bool | None = None


class TapeJob(JobRow, frozen=True, kw_only=True):
    pool: str | None = None
    drive: str | None = None
    ns: str | None = None
    next_media_label: str | None = None


class TaskRow(Struct, frozen=True, kw_only=True, gc=False):
    """One task; running without ``endtime`` and ``status``."""

    upid: str
    starttime: Epoch
    worker_type: Name
    worker_id: Name | None = None
    user: Name = ""
    endtime: Epoch | None = None
    status: str | None = None

    @property
    def is_running(self) -> bool:
        return self.endtime is None and self.status is None


class TaskState(Shape, frozen=True, kw_only=True):
    """One task asked for by its UPID; ``endtime`` is told from 4.2.1 on."""

    upid: str
    status: str
    starttime: Epoch
    type: str
    id: str | None = None
    exitstatus: str | None = None
    endtime: Epoch | None = None
