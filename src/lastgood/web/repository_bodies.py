"""What may be written about repositories: the bodies of requests, and the checks that msgspec cannot make.

Comes in: decoded JSON or the fields of a form. Goes out: whole model values, or ``Invalid`` with the field and one
sentence. The one rule: a password or variable that came in is never quoted in an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from lastgood.errors import ConfigError
from lastgood.fleet.fleet import FleetView
from lastgood.model.repository import HUB, Repository, Slot
from lastgood.tools.restic.address import check_address
from lastgood.tools.restic.variables import check_environment, check_password
from lastgood.web.bodies import absolute, plain_name
from lastgood.web.faults import Conflict, Invalid
from lastgood.wire.frames import Held

LEAST_WATCH, MOST_WATCH = 60, 86_400
NO_PASSWORD = "The repository needs a password: name a file for it on its hosts, or let the hub hold one."  # noqa: S105

_T = TypeVar("_T")


class HeldBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credentials for the hub to hold: the repository's password, and variables of its store (AWS_... and such)."""

    password: str
    environment: dict[str, str] = {}

    def __repr__(self) -> str:
        return "HeldBody(...)"


class NewRepository(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository to be known.

    ``password_file`` and ``environment_file`` are files with mode 0600 on each host that backs up into it; ``held``
    is for the hub to hold instead. ``watched_by`` is "hub" or a host's id.
    """

    name: str
    url: str
    password_file: str | None = None
    environment_file: str | None = None
    held: HeldBody | None = None
    watched_by: str | None = None
    watch_seconds: int = 900


class RepositoryChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays, null takes away."""

    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    password_file: str | UnsetType | None = UNSET
    environment_file: str | UnsetType | None = UNSET
    watched_by: str | UnsetType | None = UNSET
    watch_seconds: int | UnsetType = UNSET


class RepositoryTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to look; left out: a host that is backed up into it."""

    host_id: str | None = None


def made_repository(body: NewRepository, view: FleetView, repository_id: str, now: datetime) -> Repository:
    if body.password_file is None and body.held is None:
        raise Invalid("password_file", NO_PASSWORD)
    return Repository(
        id=repository_id,
        name=_free_name(body.name, view, None),
        url=_free_url(body.url, view, None),
        added_at=now,
        password_file=_file("password_file", body.password_file),
        environment_file=_file("environment_file", body.environment_file),
        watched_by=_watcher(body.watched_by, view),
        watch_seconds=_watch_seconds(body.watch_seconds),
    )


def changed_repository(before: Repository, body: RepositoryChange, view: FleetView) -> Repository:
    """The repository as it will be; equal to ``before`` where nothing changes."""
    changes: dict[str, Any] = {}
    if body.name is not UNSET:
        changes["name"] = _free_name(body.name, view, before.id)
    if body.url is not UNSET:
        changes["url"] = _free_url(body.url, view, before.id)
    if body.password_file is not UNSET:
        changes["password_file"] = _file("password_file", body.password_file)
    if body.environment_file is not UNSET:
        changes["environment_file"] = _file("environment_file", body.environment_file)
    if body.watched_by is not UNSET:
        changes["watched_by"] = _watcher(body.watched_by, view)
    if body.watch_seconds is not UNSET:
        changes["watch_seconds"] = _watch_seconds(body.watch_seconds)
    after = replace(before, **changes)
    if after.password_file is None and Slot.EVERYDAY not in after.held:
        raise Invalid("password_file", NO_PASSWORD)
    return after


def made_held(body: HeldBody | None) -> Held | None:
    """The credentials as agents are given them."""
    if body is None:
        return None
    password = _checked("password", lambda: check_password(body.password, "The password"))
    environment = _checked(
        "environment", lambda: check_environment(body.environment, "the environment", from_hub=True)
    )
    return Held(password=password, environment=environment)


def made_slot(text: str) -> Slot:
    if text not in set(Slot):
        raise Invalid("slot", f"The slots are {' and '.join(Slot)}.")
    return Slot(text)


def _checked(field: str, check: Callable[[], _T]) -> _T:
    try:
        return check()
    except ConfigError as fault:
        raise Invalid(field, str(fault)) from None  # what was wrong may stand in the cause


def _free_name(text: str, view: FleetView, own_id: str | None) -> str:
    name = plain_name(text)
    if any(one.name.casefold() == name.casefold() for one in view.repositories.values() if one.id != own_id):
        raise Conflict("name", f"Another repository is called {name}; choose another name.")
    return name


def _free_url(text: str, view: FleetView, own_id: str | None) -> str:
    url = _checked("url", lambda: check_address(text))
    if any(one.url == url for one in view.repositories.values() if one.id != own_id):
        raise Conflict("url", "A repository with this url is known already; use that one.")
    return url


def _file(field: str, path: str | None) -> str | None:
    if path is not None:
        absolute(field, path)
    return path


def _watcher(text: str | None, view: FleetView) -> str | None:
    if text not in (None, HUB) and text not in view.hosts:
        raise Invalid("watched_by", f"watched_by must be {HUB}, or a host's id; GET /api/v1/hosts lists them.")
    return text


def _watch_seconds(seconds: int) -> int:
    if not LEAST_WATCH <= seconds <= MOST_WATCH:
        raise Invalid("watch_seconds", f"watch_seconds must be from {LEAST_WATCH} to {MOST_WATCH}.")
    return seconds
