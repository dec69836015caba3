"""Which frames of an agent name a moment without its zone: they can be decoded, and not be compared with any of ours.

A decoded frame comes in, an answer goes out; ``hub/greeting.decode`` refuses such frames. The one rule: a new moment
in a frame, or in a model value that a frame carries, is listed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lastgood.wire import frames
from lastgood.wire.frames import Heartbeat, Hello, Report, Said, ToHub


def all_have_zones(frame: ToHub) -> bool:
    """Whether every moment of the frame says of which zone it is."""
    match frame:
        case Report(said=said):
            moments = _of_report(said)
        case Hello(sent_at=sent_at, info=info):
            moments = iter((sent_at, info.boot_at))
        case Heartbeat(sent_at=sent_at):
            moments = iter((sent_at,))
        case _:
            return True
    return all(moment is None or moment.tzinfo is not None for moment in moments)


def _of_report(said: Said) -> Iterator[datetime | None]:
    match said:
        case frames.Started(run=start):
            yield start.started_at
            yield start.due_at
        case frames.Finished(run=run):
            yield run.started_at
            yield run.ended_at
            yield run.due_at
        case frames.DeployBegun(deploy=begun):
            yield begun.started_at
        case frames.DeployEnded(deploy=deploy):
            yield deploy.started_at
            yield deploy.ended_at
        case frames.Probed(probed_at=at) | frames.Sized(sized_at=at):
            yield at
        case frames.Locks(listed_at=at, locks=locks):
            yield at
            yield from (lock.created_at for lock in locks)
        case frames.Docker(listed_at=at, engine=engine, inventory=inventory):
            yield from (at, engine.restarted_at, engine.silent_since)
            for container in () if inventory is None else inventory.containers:
                yield from (container.created_at, container.since)
        case frames.Snapshots(listed_at=at, series=series):
            yield at
            for point in (point for one in series for point in one.newest):
                yield point.started_at
                yield point.ended_at
            for habit in (one.habit for one in series if one.habit is not None):
                yield from habit.starts
                yield from (moment for pause in habit.pauses for moment in pause)
                yield habit.since
