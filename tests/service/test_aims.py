"""Where wishes go, and those that are refused before anybody waits for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lastgood.errors import Refused
from lastgood.fleet.fleet import Fleet
from lastgood.hub.wishes import Wish
from lastgood.model.job import RunKind
from lastgood.model.repository import HUB
from lastgood.model.retention import Retention
from lastgood.service.aims import aim
from lastgood.wire.frames import RestoreWish
from tests.builders import a_host, a_repository, a_source, put_host, put_repository, put_source

WEB, DB, NAS = a_host("web-1"), a_host("db-1"), a_host("nas")
VAULT, ATTIC = a_repository("vault"), a_repository("attic")
HOME = a_source("home", WEB, VAULT)
DUMPS = a_source("dumps", DB, VAULT, keep=Retention(daily=7))
OLD = a_source("old", NAS, VAULT, archived_by="ann")
RESTORE = RestoreWish(snapshot="ab" * 32, target="/srv/restore")
LATEST = RestoreWish(snapshot="latest", target="/srv/restore")


def a_fleet() -> Fleet:
    fleet = Fleet()
    for host in (WEB, DB, NAS):
        put_host(fleet, host)
    for repository in (VAULT, ATTIC):
        put_repository(fleet, repository)
    for source in (HOME, DUMPS, OLD):
        put_source(fleet, source)
    return fleet


def aimed(kind: RunKind, connected: tuple[str, ...] = (WEB.id, DB.id), **wish: Any) -> str:
    found = aim(a_fleet(), Wish(kind=kind, **wish), lambda host_id: host_id in connected)
    assert found.repository_id == VAULT.id
    return found.host_id


def test_what_is_of_a_source_goes_to_its_host() -> None:
    assert aimed(RunKind.BACKUP, source_id=HOME.id) == WEB.id
    assert aimed(RunKind.FORGET, source_id=DUMPS.id, host_id=DB.id) == DB.id
    assert aimed(RunKind.CHECK, source_id=HOME.id, check_subset="1/5") == WEB.id
    assert aimed(RunKind.RESTORE, source_id=HOME.id, restore=LATEST) == WEB.id


def test_upkeep_of_a_repository_goes_to_the_host_that_is_given_what_may_delete_and_is_there() -> None:
    assert aimed(RunKind.PRUNE, repository_id=VAULT.id) == DB.id
    assert aimed(RunKind.PRUNE, repository_id=VAULT.id, connected=(WEB.id,)) == WEB.id
    assert aimed(RunKind.UNLOCK, repository_id=VAULT.id, host_id=WEB.id) == WEB.id


def test_a_repository_that_is_only_watched_is_looked_after_by_its_watcher() -> None:
    fleet = a_fleet()
    put_repository(fleet, replace(ATTIC, watched_by=NAS.id))
    found = aim(fleet, Wish(kind=RunKind.CHECK, repository_id=ATTIC.id), lambda _: True)
    assert (found.host_id, found.repository_id) == (NAS.id, ATTIC.id)
    put_repository(fleet, replace(ATTIC, watched_by=HUB))
    with pytest.raises(Refused, match="No agent has access"):
        aim(fleet, Wish(kind=RunKind.CHECK, repository_id=ATTIC.id), lambda _: True)


def test_a_restore_may_go_to_another_host_that_has_access() -> None:
    assert aimed(RunKind.RESTORE, source_id=HOME.id, host_id=DB.id, restore=RESTORE) == DB.id
    assert aimed(RunKind.RESTORE, repository_id=VAULT.id, host_id=DB.id, restore=RESTORE) == DB.id


@pytest.mark.parametrize(
    ("kind", "wish", "why"),
    [
        (RunKind.UPDATE, {"source_id": HOME.id}, "No agent does"),
        (RunKind.BACKUP, {"source_id": "x"}, "no source x"),
        (RunKind.BACKUP, {"source_id": OLD.id}, "archived"),
        (RunKind.BACKUP, {"repository_id": VAULT.id}, "of one source"),
        (RunKind.BACKUP, {"source_id": HOME.id, "host_id": DB.id}, "another host"),
        (RunKind.BACKUP, {"source_id": HOME.id, "repository_id": ATTIC.id}, "another repository"),
        (RunKind.BACKUP, {"source_id": HOME.id, "check_subset": "1/5"}, "Only a check"),
        (RunKind.FORGET, {"source_id": HOME.id}, "no retention"),
        (RunKind.PRUNE, {}, "Name the repository"),
        (RunKind.PRUNE, {"repository_id": "x"}, "no repository x"),
        (RunKind.PRUNE, {"repository_id": ATTIC.id}, "No agent has access"),
        (RunKind.PRUNE, {"repository_id": VAULT.id, "host_id": NAS.id}, "nas has no access"),
        (RunKind.PRUNE, {"repository_id": VAULT.id, "host_id": "x"}, "no host x"),
        (RunKind.RESTORE, {"source_id": HOME.id}, "says what to restore"),
        (RunKind.CHECK, {"source_id": HOME.id, "restore": RESTORE}, "says what to restore"),
        (RunKind.RESTORE, {"repository_id": VAULT.id, "restore": LATEST}, "may be anybody's"),
        (RunKind.RESTORE, {"source_id": HOME.id, "host_id": DB.id, "restore": LATEST}, "name the snapshot"),
    ],
)
def test_what_an_agent_could_only_fail_at_is_refused_with_the_reason(
    kind: RunKind, wish: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        aimed(kind, **wish)


def test_an_empty_retention_is_refused() -> None:
    fleet = a_fleet()
    put_source(fleet, a_source("home", WEB, VAULT, keep=Retention()))
    with pytest.raises(Refused, match="keeps nothing"):
        aim(fleet, Wish(kind=RunKind.FORGET, source_id=HOME.id), lambda _: True)
