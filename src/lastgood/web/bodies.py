"""What programs may write: the bodies of requests, and the checks that msgspec cannot make.

Comes in: decoded JSON. Goes out: whole model values, or ``Invalid`` with the field and one sentence. The one
rule: nothing reaches ``take`` that the agent, the pages or restic could not bear.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lastgood.errors import ConfigError
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.schedule import check
from lastgood.fleet.series import is_ours_to_wake
from lastgood.model.job import Schedule
from lastgood.model.retention import Retention
from lastgood.model.source import Source
from lastgood.web.faults import Conflict, Invalid

LONGEST_NAME = 200
LONGEST_PATH = 4096
MOST_PATHS = 1000
LONGEST_SPAN = timedelta(days=3660)
LEAST_TARGET = timedelta(minutes=1)
MOST_KEPT = 100_000
KEEP_COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")

_WITHIN = re.compile(r"(?:\d{1,5}[ymdh]){1,4}", re.ASCII)


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cron expression of five fields in an IANA time zone."""

    cron: str
    zone: str = "UTC"


class KeepBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which snapshots stay when old ones are forgotten: so many of the newest, and of the newest in each hour, day,
    week, month and year; and all that are younger than ``within``, as restic writes it (14d, 1y6m)."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: str | None = None


class NewSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source to be made. ``target_seconds`` means "never older than"."""

    host_id: str
    repository_id: str
    name: str
    paths: list[str]
    excludes: list[str] = []
    schedule: ScheduleBody | None = None
    target_seconds: float | None = None
    grace_seconds: float | None = None
    accept_partial: bool = False
    keep: KeepBody | None = None


class SourceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays, null takes away."""

    name: str | UnsetType = UNSET
    paths: list[str] | UnsetType = UNSET
    excludes: list[str] | UnsetType = UNSET
    schedule: ScheduleBody | UnsetType | None = UNSET
    target_seconds: float | UnsetType | None = UNSET
    grace_seconds: float | UnsetType | None = UNSET
    accept_partial: bool | UnsetType = UNSET
    paused_until: datetime | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET
    keep: KeepBody | UnsetType | None = UNSET


def made_source(body: NewSource, view: FleetView, source_id: str, now: datetime) -> Source:
    host = view.hosts.get(body.host_id)
    if host is None:
        raise Invalid("host_id", "No host has this id; GET /api/v1/hosts lists them.")
    if body.repository_id not in view.repositories:
        raise Invalid("repository_id", "No repository has this id; GET /api/v1/repositories lists them.")
    if view.repositories[body.repository_id].collector is not None:
        raise Invalid("repository_id", "Its own server fills this repository; choose one of restic.")
    name = plain_name(body.name)
    _free_source_name(view, host.id, name, None)
    return Source(
        id=source_id,
        name=name,
        host_id=host.id,
        repository_id=body.repository_id,
        paths=_paths(body.paths),
        restic_host=host.name,
        created_at=now,
        revised_at=now,
        excludes=_excludes(body.excludes),
        schedule=_schedule(body.schedule),
        target=_span("target_seconds", body.target_seconds, LEAST_TARGET),
        grace=_span("grace_seconds", body.grace_seconds, timedelta()),
        accept_partial=body.accept_partial,
        keep=_keep(body.keep),
    )


def changed_source(before: Source, body: SourceChange, view: FleetView, by: str, now: datetime) -> Source:
    """The source as it will be; equal to ``before`` where nothing changes."""
    changes: dict[str, Any] = {}
    if body.name is not UNSET:
        changes["name"] = plain_name(body.name)
        _free_source_name(view, before.host_id, changes["name"], before.id)
    if before.is_found and any(part is not UNSET for part in (body.paths, body.excludes, body.keep)):
        raise Invalid("paths", f"{before.name} was found in its repository; what it holds is up to who makes it.")
    if body.paths is not UNSET:
        changes["paths"] = _paths(body.paths)
    if body.excludes is not UNSET:
        changes["excludes"] = _excludes(body.excludes)
    if body.schedule is not UNSET:
        changes["schedule"] = _schedule(body.schedule)
    if body.target_seconds is not UNSET:
        changes["target"] = _span("target_seconds", body.target_seconds, LEAST_TARGET)
    if body.grace_seconds is not UNSET:
        changes["grace"] = _span("grace_seconds", body.grace_seconds, timedelta())
    if body.accept_partial is not UNSET:
        changes["accept_partial"] = body.accept_partial
    if body.keep is not UNSET:
        changes["keep"] = _keep(body.keep)
    if body.paused_until is not UNSET:
        changes["paused_until"] = _pause_end(body.paused_until, now)
        changes["paused_by"] = by if body.paused_until is not None else None
    if body.archived is not UNSET and (
        body.archived != (before.archived_by is not None) or (body.archived and is_ours_to_wake(before))
    ):
        changes["archived_by"] = by if body.archived else None
    after = replace(before, **changes)
    timing = ("schedule", "target", "grace")
    revised = any(getattr(before, part) != getattr(after, part) for part in timing)
    return replace(after, revised_at=now) if revised else after


def plain_name(text: str) -> str:
    name = text.strip()
    _clean("name", name, LONGEST_NAME)
    return name


def _clean(field: str, text: str, longest: int) -> None:
    if not text:
        raise Invalid(field, f"{field} is empty; write one.")
    if len(text) > longest:
        raise Invalid(field, f"{field} is longer than {longest} characters; shorten it.")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise Invalid(field, f"{field} holds a line break or another control character; leave it out.")


def _free_source_name(view: FleetView, host_id: str | None, name: str, own_id: str | None) -> None:
    for source_id in view.sources_of_host.get(host_id or "", ()):
        if source_id != own_id and view.sources[source_id].name.casefold() == name.casefold():
            raise Conflict("name", f"This host has a source called {name} already; choose another name.")


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(paths) <= MOST_PATHS:
        raise Invalid("paths", f"paths must name from 1 to {MOST_PATHS} files or folders.")
    for path in paths:
        absolute("paths", path)
    return tuple(dict.fromkeys(paths))


def absolute(field: str, path: str) -> None:
    _clean(field, path, LONGEST_PATH)
    if not path.startswith("/"):
        raise Invalid(field, f"{field}: {path[:80]!r} is not an absolute path; begin it with a slash.")


def _excludes(excludes: Sequence[str]) -> tuple[str, ...]:
    if len(excludes) > MOST_PATHS:
        raise Invalid("excludes", f"excludes may hold at most {MOST_PATHS} patterns.")
    for pattern in excludes:
        _clean("excludes", pattern, LONGEST_PATH)
    return tuple(dict.fromkeys(excludes))


def _schedule(body: ScheduleBody | None) -> Schedule | None:
    if body is None:
        return None
    schedule = Schedule(cron=body.cron.strip(), zone=body.zone.strip())
    _clean("schedule", schedule.cron, LONGEST_NAME)
    _clean("schedule", schedule.zone, LONGEST_NAME)
    try:
        check(schedule)
    except ConfigError as fault:
        raise Invalid("schedule", str(fault)) from fault
    return schedule


def _span(field: str, seconds: float | None, least: timedelta) -> timedelta | None:
    if seconds is None:
        return None
    if not least.total_seconds() <= seconds <= LONGEST_SPAN.total_seconds():
        floor, ceiling = int(least.total_seconds()), int(LONGEST_SPAN.total_seconds())
        raise Invalid(field, f"{field} must be from {floor} to {ceiling}.")
    return timedelta(seconds=seconds)


def _keep(body: KeepBody | None) -> Retention | None:
    """A policy that keeps something of every source; restic would take an empty one for "forget nothing", or all."""
    if body is None:
        return None
    counts = {name: getattr(body, name) for name in KEEP_COUNTS}
    for name, count in counts.items():
        if not 0 <= count <= MOST_KEPT:
            raise Invalid("keep", f"keep.{name} must be from 0 to {MOST_KEPT}.")
    within = body.within.strip() or None if body.within is not None else None
    if within is not None and (not _WITHIN.fullmatch(within) or not any(part in within for part in "123456789")):
        raise Invalid("keep", "keep.within is written as restic does, for example 14d, 1y6m or 2y5m7d3h.")
    kept = Retention(**counts, within=within)
    if kept.is_empty:
        raise Invalid(
            "keep",
            "This retention (keep) keeps nothing; give one number above 0, or none at all.",
        )
    return kept


def _pause_end(until: datetime | None, now: datetime) -> datetime | None:
    if until is None:
        return None
    if until.tzinfo is None:
        raise Invalid("paused_until", "paused_until lacks its time zone; end it with Z or an offset.")
    if not now < until <= now + LONGEST_SPAN:
        raise Invalid("paused_until", "paused_until must be a moment to come; null ends a pause.")
    return until.astimezone(now.tzinfo)
