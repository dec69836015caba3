"""Endpoints about sync, verify, prune and tape jobs, and the tape library.

A job the asker may not see is left out without a word; push jobs are hidden unless `sync-direction` asks for them.
Outside format: sheet of PBS facts, section 4.3.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from . import tape
from .call import Call, Route, Told, acl_path
from .jobs import row
from .model import Job


def _of(call: Call, kind: str) -> Iterable[Job]:
    store = call.params.get("store")
    return (job for job in call.world.jobs if job.kind == kind and store in (None, job.store))


def _told(call: Call, jobs: Iterable[Job]) -> Told:
    rows = [row(job, call.world.version, call.world.now) for job in jobs]
    fixed = [{key: value for key, value in told.items() if not key.startswith(("last-", "next-"))} for told in rows]
    return Told(rows, {"digest": hashlib.sha256(json.dumps(fixed).encode()).hexdigest()})


def _verify(call: Call) -> Any:
    rights = ("Datastore.Audit", "Datastore.Verify")
    return _told(call, (job for job in _of(call, "verify") if call.allows(acl_path(job.store, job.ns), *rights)))


def _prune(call: Call) -> Any:
    rights = ("Datastore.Audit", "Datastore.Modify")
    return _told(call, (job for job in _of(call, "prune") if call.allows(acl_path(job.store, job.ns), *rights)))


def _sync(call: Call) -> Any:
    wanted = call.params.get("sync-direction", "pull")
    return _told(
        call,
        (
            job
            for job in _of(call, "sync")
            if wanted in ("all", job.fields.get("sync-direction", "pull")) and _sees_sync(call, job)
        ),
    )


def _sees_sync(call: Call, job: Job) -> bool:
    remote = job.fields.get("remote")
    there = remote is None or call.allows(f"/remote/{remote}", "Remote.Audit")
    return there and call.allows(acl_path(job.store, job.ns), "Datastore.Audit")


def _tape_jobs(call: Call) -> Any:
    jobs = (job for job in _of(call, "tape") if call.allows(f"/tape/job/{job.id}", "Tape.Audit"))
    rows = [row(job, call.world.version, call.world.now) | {"next-media-label": "AAA003L8"} for job in jobs]
    return Told(rows, {"digest": hashlib.sha256(b"tape").hexdigest()})


def _drives(call: Call) -> Any:
    active = {"activity": "writing"} if call.params.get("query-activity") else {}
    return [
        drive | (active if "vendor" in drive else {})
        for drive in tape.DRIVES
        if call.allows(f"/tape/drive/{drive['name']}", "Tape.Audit")
    ]


def _changers(call: Call) -> Any:
    return [one for one in tape.CHANGERS if call.allows(f"/tape/changer/{one['name']}", "Tape.Audit")]


def _slots(call: Call) -> Any:
    return tape.SLOTS


def _media(call: Call) -> Any:
    pool = call.params.get("pool")
    return [
        medium
        for medium in tape.MEDIA
        if pool in (None, medium.get("pool")) and call.allows(f"/tape/pool/{medium.get('pool', '')}", "Tape.Audit")
    ]


_STORE = {"store": "text"}

ROUTES = (
    Route("admin/verify", _verify, _STORE),
    Route("admin/prune", _prune, _STORE),
    Route("admin/sync", _sync, {"store": "text", "sync-direction": "direction@sync-direction"}),
    Route("tape/backup", _tape_jobs),
    Route("tape/drive", _drives, {"changer": "text", "query-activity": "bool"}),
    Route("tape/media/list", _media, {"pool": "text", "update-status": "bool", "update-status-changer": "text"}),
    Route("tape/changer", _changers),
    Route("tape/changer/{name}/status", _slots, {"cache": "bool"}, ("/tape/device/{name}", "Tape.Audit")),
)
