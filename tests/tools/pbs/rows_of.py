"""Rows as a server tells them, with sensible defaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lastgood.model.pbs import Group
from lastgood.tools.pbs.groups import GroupKey, Line, new_group
from lastgood.tools.pbs.job_shapes import TaskRow

NOW = datetime(2025, 11, 20, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
UPID = "UPID:pbs-a:000002F1:000004D2:{number:08X}:{start:08X}:{kind}:x:root@pam:"


def epoch(at: datetime) -> int:
    return int(at.timestamp())


def a_line(at: datetime, *, size: int | None = 10, state: str | None = None, **more: object) -> Line:
    told: dict[str, object] = {
        "type": "vm",
        "id": "100",
        "time": epoch(at),
        "size": size,
        "state": state,
        "upid": UPID.format(number=1, start=epoch(at + HOUR), kind="verificationjob") if state else None,
        "comment": None,
        "owner": "pve@pbs",
        "protected": False,
        "encrypted": False,
        "signed": False,
    }
    return Line(**(told | more))  # type: ignore[arg-type]


def a_group(namespace: str = "", kind: str = "vm", backup_id: str = "100", store: str = "main") -> Group:
    key: GroupKey = (store, namespace, kind, backup_id)
    return new_group("", key)


def a_task(
    start: datetime,
    *,
    end: datetime | None = None,
    status: str | None = None,
    kind: str = "backup",
    worker_id: str = "main:vm/100",
    user: str = "pve@pbs",
    number: int = 1,
) -> TaskRow:
    return TaskRow(
        upid=UPID.format(number=number, start=epoch(start), kind=kind),
        starttime=epoch(start),
        worker_type=kind,
        worker_id=worker_id,
        user=user,
        endtime=epoch(end) if end is not None else None,
        status=status or ("OK" if end is not None else None),
    )
