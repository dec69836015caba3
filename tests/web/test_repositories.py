"""Repositories and their credentials by API: what is taken, what is refused, and what is never answered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from lastgood.model.fact import SourceConfigured
from lastgood.model.repository import HUB, Slot
from lastgood.model.retention import Retention
from lastgood.service.assignment import LARGEST
from lastgood.wire.frames import Held
from tests.builders import NOW, a_host, a_repository, put_host, put_repository
from tests.web.site import Home

HELD = {"password": "canary-one", "environment": {"AWS_SECRET_ACCESS_KEY": "canary-two"}}


def fault(answer: httpx.Response) -> tuple[int, str | None, str]:
    assert "canary" not in answer.text
    error = answer.json()["error"]
    return answer.status_code, error.get("field"), error["message"]


async def made(home: Home, **changes: Any) -> dict[str, Any]:
    body = {"name": "new", "url": "s3:https://s3.example/new", "held": HELD} | changes
    answer = await home.program().post("/api/v1/repositories", json=body)
    assert answer.status_code == 201, answer.text
    assert "canary" not in answer.text
    reading: dict[str, Any] = answer.json()
    return reading


async def test_a_repository_with_held_credentials_tells_of_them_and_not_what_they_are(home: Home) -> None:
    reading = await made(home)
    assert (reading["held"], reading["password_file"]) == (["everyday"], None)
    client = home.program()
    told = await client.get(f"/api/v1/repositories/{reading['id']}/credentials")
    assert told.json() == [
        {
            "slot": "everyday",
            "variables": ["AWS_SECRET_ACCESS_KEY"],
            "set_at": "2026-03-14T12:00:00Z",
            "set_by": "script",
        }
    ]
    repository = home.fleet.repositories[reading["id"]]
    held = home.credentials.access(repository, Slot.EVERYDAY)
    assert held == Held(password="canary-one", environment={"AWS_SECRET_ACCESS_KEY": "canary-two"})


async def test_the_same_idempotency_key_makes_one_repository_with_one_row_of_credentials(home: Home) -> None:
    body = {"name": "new", "url": "/srv/new", "held": HELD}
    headers = {"Idempotency-Key": "make new"}
    answers = [await home.program().post("/api/v1/repositories", json=body, headers=headers) for _ in range(2)]
    assert len({answer.json()["id"] for answer in answers}) == 1
    repository = home.fleet.repositories[answers[0].json()["id"]]
    assert home.credentials.access(repository, Slot.EVERYDAY) is not None


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"url": "backup/dir"}, 422, "url"),
        ({"url": "https://s3.example/new"}, 422, "url"),
        ({"url": "rest:https://user:canary@host/"}, 422, "url"),
        ({"url": "sftp:-oProxyCommand=x:/srv"}, 422, "url"),
        ({"url": "/srv/new\n"}, 422, "url"),
        ({"name": ""}, 422, "name"),
        ({"name": "VAULT"}, 409, "name"),
        ({"url": "sftp:backup@vault.example:/srv/restic"}, 409, "url"),
        ({"held": None}, 422, "password_file"),
        ({"held": None, "password_file": "vault.pass"}, 422, "password_file"),
        ({"environment_file": "env"}, 422, "environment_file"),
        ({"held": {"password": ""}}, 422, "password"),
        ({"held": {"password": "canary\nline"}}, 422, "password"),
        ({"held": {"password": "x", "environment": {"LD_PRELOAD": "canary"}}}, 422, "environment"),
        ({"held": {"password": "x", "environment": {"B2_ACCOUNT_KEY": "canary\n"}}}, 422, "environment"),
        ({"held": {"password": ["canary"]}}, 422, None),
        ({"held": {"password": "x", "secret": "canary"}}, 422, None),
        ({"watched_by": "nobody"}, 422, "watched_by"),
        ({"watch_seconds": 5}, 422, "watch_seconds"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_its_field_and_without_its_secrets(
    home: Home, changes: dict[str, Any], status: int, field: str | None
) -> None:
    before = dict(home.fleet.repositories)
    body = {"name": "new", "url": "s3:https://s3.example/new", "held": HELD} | changes
    answer = await home.program().post("/api/v1/repositories", json=body)
    told = fault(answer)
    assert told[0] == status
    if field is not None:
        assert told[1] == field
    assert home.fleet.repositories == before


async def test_a_repository_is_changed_field_by_field(home: Home) -> None:
    reading = await made(home)
    client, path = home.program(), f"/api/v1/repositories/{reading['id']}"
    answer = await client.patch(path, json={"name": "renamed", "watched_by": "hub", "watch_seconds": 60})
    told = answer.json()
    assert (told["name"], told["watched_by"], told["watch_seconds"], told["held"]) == (
        "renamed",
        "hub",
        60,
        ["everyday"],
    )
    assert (await client.patch(path, json={"url": "/srv/elsewhere", "watched_by": None})).json()["watched_by"] is None
    assert home.fleet.repositories[reading["id"]].url == "/srv/elsewhere"
    assert fault(await client.patch(path, json={"name": "vault"}))[:2] == (409, "name")
    assert fault(await client.patch(path, json={"url": "nowhere"}))[:2] == (422, "url")
    assert (await client.patch("/api/v1/repositories/none", json={"name": "x"})).status_code == 404


async def test_a_slot_is_filled_changed_and_emptied(home: Home) -> None:
    reading = await made(home, held=None, password_file="/etc/new.pass")
    client, path = home.program(), f"/api/v1/repositories/{reading['id']}/credentials"
    for slot in ("admin", "everyday"):
        told = await client.put(f"{path}/{slot}", json=HELD)
        assert told.status_code == 200
        assert "canary" not in told.text
    assert [one["slot"] for one in (await client.get(path)).json()] == ["admin", "everyday"]
    assert [one["slot"] for one in (await client.delete(f"{path}/everyday")).json()] == ["admin"]
    assert (await client.delete(f"{path}/everyday")).status_code == 200
    assert fault(await client.put(f"{path}/weekly", json=HELD))[:2] == (422, "slot")
    assert fault(await client.put(f"{path}/admin", json={"password": ""}))[:2] == (422, "password")
    assert home.fleet.repositories[reading["id"]].held == (Slot.ADMIN,)


async def test_the_only_password_of_what_is_still_backed_up_is_not_taken_away(home: Home) -> None:
    reading = await made(home)
    source = next(iter(home.fleet.sources.values()))
    moved = replace(source, repository_id=reading["id"])
    await home.take([SourceConfigured(at=NOW, origin="test", source=moved)], "move")
    path = f"/api/v1/repositories/{reading['id']}"
    assert fault(await home.program().delete(f"{path}/credentials/everyday"))[:2] == (409, "slot")
    assert fault(await home.program().delete(path))[:2] == (409, "repository_id")
    assert home.fleet.repositories[reading["id"]].held == (Slot.EVERYDAY,)
    await home.program().patch(path, json={"password_file": "/etc/new.pass"})
    assert (await home.program().delete(f"{path}/credentials/everyday")).status_code == 200
    assert fault(await home.program().patch(path, json={"password_file": None}))[:2] == (422, "password_file")


async def test_a_repository_is_removed_once_nothing_needs_it_and_its_sources_are_named_until_then(home: Home) -> None:
    client = home.program()
    used = next(one for one in home.fleet.repositories.values() if one.name == "vault")
    status, _, message = fault(await client.delete(f"/api/v1/repositories/{used.id}"))
    assert status == 409
    assert "web-1/etc" in message
    reading = await made(home)
    answer = await client.delete(f"/api/v1/repositories/{reading['id']}")
    assert "was not touched" in answer.json()["message"]
    assert (await client.get(f"/api/v1/repositories/{reading['id']}")).status_code == 404


async def test_a_trial_is_made_by_the_hub_where_it_watches_and_refused_where_nobody_can(home: Home) -> None:
    client = home.program()
    watched = put_repository(home.fleet, a_repository("watched", watched_by=HUB))
    assert "the hub, every" in (await client.get(f"/repositories/{watched.id}")).text
    told = (await client.post(f"/api/v1/repositories/{watched.id}/test", json={})).json()
    assert (told["host_id"], told["probe"], told["reason"]) == (None, "missing", "There is nothing.")
    away = put_host(home.fleet, a_host("away"), online=False)
    path = f"/api/v1/repositories/{put_repository(home.fleet, a_repository('unused')).id}/test"
    assert "No agent that uses" in fault(await client.post(path, json={}))[2]
    assert "agent of away is not connected" in fault(await client.post(path, json={"host_id": away.id}))[2]
    assert fault(await client.post(path, json={"host_id": "none"}))[:2] == (422, "host_id")


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ({"daily": 7, "within": "14d"}, Retention(daily=7, within="14d")),
        ({"last": 1}, Retention(last=1)),
        ({"within": "2y5m7d3h"}, Retention(within="2y5m7d3h")),
        (None, None),
    ],
)
async def test_a_source_says_which_snapshots_stay(home: Home, keep: Any, kept: Retention | None) -> None:
    source = next(iter(home.fleet.sources.values()))
    answer = await home.program().patch(f"/api/v1/sources/{source.id}", json={"keep": keep})
    assert answer.status_code == 200, answer.text
    assert home.fleet.sources[source.id].keep == kept


@pytest.mark.parametrize(
    "keep",
    [{}, {"daily": 0}, {"within": ""}, {"within": "0d"}, {"within": "14 days"}, {"daily": -1}, {"daily": 10**9}],
)
async def test_a_retention_that_keeps_nothing_is_refused(home: Home, keep: Any) -> None:
    source = next(iter(home.fleet.sources.values()))
    answer = await home.program().patch(f"/api/v1/sources/{source.id}", json={"keep": keep})
    assert fault(answer)[:2] == (422, "keep")
    assert home.fleet.sources[source.id].keep == source.keep


async def test_orders_that_no_message_could_carry_are_refused_when_they_are_made(home: Home) -> None:
    host_id, repository_id = next(iter(home.fleet.hosts)), next(iter(home.fleet.repositories))
    body = {
        "host_id": host_id,
        "repository_id": repository_id,
        "name": "many files",
        "paths": [f"/data/{number:0800}" for number in range(900)],
    }
    client = home.program()
    assert (await client.post("/api/v1/sources", json=body)).status_code == 201
    again = body | {"name": "and many more"}
    status, field, message = fault(await client.post("/api/v1/sources", json=again))
    assert (status, field) == (422, "paths")
    assert f"no more than {LARGEST // 1024} KiB" in message
    assert not any(source.name == "and many more" for source in home.fleet.sources.values())


async def test_a_source_tells_whether_its_agent_has_taken_its_orders(home: Home) -> None:
    source = next(iter(home.fleet.sources.values()))
    told = (await home.program().get(f"/api/v1/sources/{source.id}")).json()
    assert (told["orders_taken"], told["orders_refused"]) == (None, None)
    host = (await home.program().get(f"/api/v1/hosts/{source.host_id}")).json()
    assert (host["orders_taken"], host["orders_refused"]) == (None, [])
