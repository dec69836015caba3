"""Missing grants are named, so that a short list is never read as an empty server (traps 3 and 4)."""

from __future__ import annotations

from typing import Any

import pytest

from lastgood.tools.pbs.permissions import NODE, REMOTES, TAPE, TASKS, datastore, may, missing
from tests.pbs_simulator import FULL, MONITOR, OWN, SIZES, TOKEN_ONLY, Setting, Simulator
from tests.tools.pbs.connected import api_of

MAIN = datastore("main")


def named(held: Any, *stores: str) -> list[str]:
    return [str(need) for need in missing(held, stores)]


def test_audit_on_the_root_is_all_but_remotes_and_tapes() -> None:
    held = {"/": {"Sys.Audit": True, "Datastore.Audit": True}}
    assert named(held, "main", "archive") == ["Remote.Audit on /remote", "Tape.Audit on /tape"]


def test_a_grant_that_does_not_reach_below_counts_on_its_path_alone() -> None:
    assert not may({"/system": {"Sys.Audit": False}}, NODE)
    assert may({"/system/status": {"Sys.Audit": False}}, NODE)
    assert not may({"/datastore": {"Datastore.Audit": False}}, MAIN)


def test_a_datastore_without_its_namespaces_is_not_whole() -> None:
    assert not may({"/datastore/main": {"Datastore.Audit": False}}, MAIN)
    assert may({"/datastore/main": {"Datastore.Audit": True}}, MAIN)


def test_a_deeper_path_replaces_what_is_handed_down() -> None:
    held = {"/": {"Datastore.Audit": True}, "/datastore/main": {"Datastore.Backup": True}}
    assert not may(held, MAIN)
    assert may(held, datastore("other"))


def test_the_nearest_path_that_is_told_decides() -> None:
    held = {"/": {"Sys.Audit": True}, "/system": {"Sys.Modify": True}}
    assert not may(held, TASKS)


def test_nothing_granted_is_everything_missing() -> None:
    assert named({}, "b", "a") == [
        "Sys.Audit on /system/status",
        "Sys.Audit on /system/tasks",
        "Datastore.Audit on /datastore/a",
        "Datastore.Audit on /datastore/b",
        "Remote.Audit on /remote",
        "Tape.Audit on /tape",
    ]


def test_a_token_that_may_see_no_datastore_at_all_lacks_the_right_to_all() -> None:
    assert "Datastore.Audit on /datastore" in named({"/system": {"Sys.Audit": True}})
    assert "Datastore.Audit on /datastore" in named({"/datastore/main": {"Datastore.Read": True}})


@pytest.mark.parametrize(
    "held",
    [
        {"/": {"Datastore.Audit": True}},
        {"/datastore": {"Datastore.Audit": True}},
        {"/datastore/main": {"Datastore.Audit": False}},
        {"/datastore/main/tenant": {"Datastore.Backup": True}},
    ],
)
def test_a_server_without_a_datastore_is_nothing_that_is_missing(held: Any) -> None:
    assert [need for need in named(held) if "Datastore" in need] == []


@pytest.mark.parametrize(
    ("token", "lacking"),
    [
        (FULL, set()),
        (MONITOR, {"Datastore.Audit on /datastore/tenant-b"}),
        (TOKEN_ONLY, {NODE, TASKS, REMOTES, TAPE, datastore("main"), datastore("tenant-b")}),
        (OWN, {NODE, TASKS, REMOTES, TAPE, datastore("main"), datastore("tenant-b")}),
    ],
)
async def test_what_a_server_tells_of_a_token_names_what_it_lacks(token: str, lacking: set[Any]) -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with api_of(pbs, token) as api:
            held = await api.permissions()
            found = {str(need) for need in missing(held, ["main", "tenant-b"])}
            assert found == {str(need) for need in lacking}


async def test_a_token_whose_user_has_nothing_has_nothing_and_is_told_so() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with api_of(pbs, TOKEN_ONLY) as api:
            assert await api.permissions() == {}
            assert len(await api.datastores()) == 0
            assert "Datastore.Audit on /datastore/main" in named(await api.permissions(), "main")


async def test_a_revoked_grant_shows_before_anything_is_refused() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with api_of(pbs) as api:
            assert may(await api.permissions(), REMOTES)
            there = {job.id for job in await api.sync_jobs()}
            for who in ("monitor@pbs", MONITOR):
                pbs.happen("acl", path="/remote", who=who, role="RemoteAudit", remove=True)
            fewer = await api.sync_jobs()
            assert {job.id for job in fewer} < there
            assert named(await api.permissions(), "main") == ["Remote.Audit on /remote"]


async def test_a_path_closed_by_no_access_shows_where_it_is_asked_for() -> None:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        async with api_of(pbs) as api:
            closed = datastore("tenant-x")
            assert may(await api.permissions(), closed)
            held = await api.permissions("/datastore/tenant-x", "/datastore/main")
            assert held["/datastore/tenant-x"] == {}
            assert not may(held, closed)
            assert may(held, MAIN)
