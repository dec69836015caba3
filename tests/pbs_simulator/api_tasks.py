"""Endpoints about tasks: the list with its filters, one task's state, its log.

Who lacks Sys.Audit on /system/tasks sees a list that looks healthy and holds only their own.
Outside format: sheet of PBS facts, section 5.
"""

from __future__ import annotations

from typing import Any

from .call import Call, Listing, Route
from .call import Told as _Told
from .compact import compact
from .refusal import bad_request, forbidden
from .tasks import Query, Task
from .upid import PID, PSTART


def _sees_all(call: Call) -> bool:
    return call.allows("/system/tasks", "Sys.Audit")


def _list(call: Call) -> Any:
    given = call.params
    query = Query(
        start=given.get("start", 0),
        limit=given.get("limit", 50),
        running=given.get("running", False),
        errors=given.get("errors", False),
        since=given.get("since"),
        until=given.get("until"),
        store=given.get("store"),
        typefilter=given.get("typefilter"),
        userfilter=given.get("userfilter"),
        statusfilter=tuple(given.get("statusfilter", ())),
        only_user=None if _sees_all(call) else call.who,
    )
    page, total = call.world.tasks.select(query)
    return Listing((compact(task.row()) for task in page), {"total": total})


def _task(call: Call) -> Task:
    task = call.world.tasks.find(call.place["upid"])
    if task is None:
        raise bad_request("no such task")
    if task.user != call.who and not _sees_all(call):
        raise forbidden()
    return task


def _status(call: Call) -> Any:
    task = _task(call)
    told: dict[str, Any] = {
        "upid": task.upid,
        "node": "localhost",
        "pid": PID,
        "pstart": PSTART,
        "starttime": task.start,
        "type": task.worker_type,
        "id": task.worker_id,
        "user": task.user.partition("!")[0],
    }
    told |= {"tokenid": task.user.partition("!")[2]} if "!" in task.user else {}
    if task.end is None:
        return told | {"status": "running"}
    told |= {"status": "stopped", "exitstatus": task.status}
    return told | ({"endtime": task.end} if call.world.version.has("task-endtime") else {})


def _log(call: Call) -> Any:
    task = _task(call)
    lines = [f"starting task {task.upid}", f"{task.worker_type} of {task.worker_id or 'this server'}"]
    if task.end is not None:
        lines.append(f"TASK {task.status}" if task.status in ("OK", "unknown") else f"TASK ERROR: {task.status}")
    start, limit = call.params.get("start", 0), call.params.get("limit", 50)
    numbered = [{"n": number, "t": line} for number, line in enumerate(lines, 1)][start:]
    more: dict[str, Any] = {"total": len(lines)}
    if call.params.get("test-status"):
        more["active"] = task.end is None
    return _Told(numbered[:limit] if limit else numbered, more)


_FILTERS = {
    "start": "int",
    "limit": "int",
    "running": "bool",
    "errors": "bool",
    "since": "int",
    "until": "int",
    "store": "text",
    "typefilter": "text",
    "userfilter": "text",
    "statusfilter": "statuses",
}

ROUTES = (
    Route("nodes/{node}/tasks", _list, _FILTERS),
    Route("nodes/{node}/tasks/{upid}/status", _status),
    Route("nodes/{node}/tasks/{upid}/log", _log, {"start": "int", "limit": "int", "test-status": "bool"}),
)
