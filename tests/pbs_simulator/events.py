"""Things that happen to the server: what each is called, what it takes, and carrying it out.

An event is ``{"kind": name, ...}`` with the arguments of its row in ``EVENTS``; a name with a ``?`` may be left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import events_content as content
from . import events_server as server
from .refusal import Mistake
from .world import World

_GROUP = ("store", "ns?", "type", "id")

EVENTS: dict[str, tuple[Callable[[World, dict[str, Any]], None], tuple[str, ...]]] = {
    "delete-group": (content.delete_group, _GROUP),
    "delete-snapshot": (content.delete_snapshot, (*_GROUP, "time?", "keep_group?")),
    "add-snapshot": (content.add_snapshot, (*_GROUP, "time?", "comment?", "owner?", "status?")),
    "start-upload": (content.start_upload, (*_GROUP, "time?")),
    "finish-upload": (content.finish_upload, (*_GROUP, "comment?")),
    "abort-upload": (content.abort_upload, (*_GROUP, "status?", "leave?")),
    "fail-backup": (content.fail_backup, (*_GROUP, "status?")),
    "verify": (content.verify, (*_GROUP, "time?", "state")),
    "edit-comment": (content.edit_comment, (*_GROUP, "time?", "comment")),
    "edit-group-comment": (content.edit_group_comment, (*_GROUP, "comment")),
    "protect": (content.protect, (*_GROUP, "time?", "protected")),
    "create-namespace": (content.create_namespace, ("store", "ns")),
    "remove-namespace": (content.remove_namespace, ("store", "ns")),
    "maintenance": (server.maintenance, ("store", "mode", "message?")),
    "mount": (server.mount, ("store",)),
    "unmount": (server.unmount, ("store",)),
    "create-store": (server.create_store, ("store",)),
    "remove-store": (server.remove_store, ("store",)),
    "gc-start": (server.gc_start, ("store",)),
    "gc-finish": (server.gc_finish, ("store",)),
    "gc-fail": (server.gc_fail, ("store", "status?")),
    "job-start": (server.job_start, ("job", "id")),
    "job-finish": (server.job_finish, ("job", "id", "status?")),
    "job-run": (server.job_run, ("job", "id", "status?")),
    "task": (server.add_task, ("worker_type", "worker_id?", "user?", "start", "end?", "status?")),
    "revoke-token": (server.revoke_token, ("token",)),
    "acl": (server.change_acl, ("path", "who", "role", "propagate?", "remove?")),
    "rotate-certificate": (server.rotate_certificate, ()),
    "upgrade": (server.upgrade, ("version", "down_s?")),
    "clock-jump": (server.clock_jump, ("seconds",)),
}


@dataclass(frozen=True)
class Event:
    kind: str
    told: dict[str, Any]


def read_event(told: dict[str, Any]) -> Event:
    """Mistake if there is no such event, or its arguments are not those it takes."""
    kind = told.get("kind")
    if kind not in EVENTS:
        raise Mistake(f"no event is called {kind!r}; say one of {', '.join(EVENTS)}")
    takes = EVENTS[kind][1]
    known = {name.rstrip("?") for name in takes}
    given = {key: value for key, value in told.items() if key != "kind"}
    for name in takes:
        if not name.endswith("?") and name not in given:
            raise Mistake(f"the event {kind} lacks {name}; it takes {', '.join(takes)}")
    odd = sorted(set(given) - known)
    if odd:
        raise Mistake(f"the event {kind} has no {odd[0]!r}; it takes {', '.join(takes) or 'nothing'}")
    return Event(kind, given)


def happen(world: World, event: Event) -> None:
    EVENTS[event.kind][0](world, event.told)
