"""A token for single hosts: lists are of those hosts alone, and what belongs to others is not there."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from lastgood.model.fact import HostEnrolled, RunFinished, SourceConfigured
from lastgood.web.narrow import LOOKED_UP, narrow
from lastgood.web.permits import PERMITS
from tests.builders import NOW, a_host, a_run, a_source, an_id
from tests.web.site import Home
from tests.web.test_permits import of_the_application

OURS, OTHERS = a_host("narrow-ours"), a_host("narrow-others")


@pytest.fixture
async def town(home: Home) -> Home:
    """Beside all that is there: a host of ours and one of somebody else, each with a source and a run."""
    repository_id = next(iter(home.fleet.repositories))
    for host in (OURS, OTHERS):
        source = a_source(f"on {host.name}", host, repository_id=repository_id)
        facts = [
            HostEnrolled(at=NOW, origin="test", host=host),
            SourceConfigured(at=NOW, origin="test", source=source),
        ]
        await home.take(facts, host.id)
        run = a_run(source, id=an_id(f"run on {host.name}"))
        await home.take([RunFinished(at=NOW, origin="test", run=run)], "run" + host.id)
        await home.keep([RunFinished(at=NOW, origin="test", run=run)])
    alert = next(iter(home.fleet.alerts.values()))
    for host in (OURS, OTHERS):
        key = replace(alert.key, entity_id=host.id)
        home.fleet.alerts[key] = replace(alert, key=key, id=an_id("alert " + host.id), host_id=host.id)
    return home


async def ours(home: Home, role: str = "operator") -> Any:
    return home.bearing(await home.token(role, hosts=[OURS.id]))


def source_of(home: Home, host_id: str) -> str:
    return home.fleet.sources_of_host[host_id][0]


async def test_lists_are_of_its_hosts_alone_and_say_how_many_these_are(town: Home) -> None:
    client = await ours(town)
    hosts = (await client.get("/api/v1/hosts")).json()
    assert ([host["name"] for host in hosts["items"]], hosts["total"]) == ([OURS.name], 1)
    sources = (await client.get("/api/v1/sources")).json()
    assert ([one["host_id"] for one in sources["items"]], sources["total"]) == ([OURS.id], 1)
    runs = (await client.get("/api/v1/runs")).json()
    assert [one["host_id"] for one in runs["items"]] == [OURS.id]
    assert runs["running"] == []
    for status in ("open", "all"):
        alerts = (await client.get("/api/v1/alerts", params={"status": status})).json()["items"]
        assert {one["host_id"] for one in alerts} <= {OURS.id}
    fleet = (await client.get("/api/v1/fleet")).json()
    assert (fleet["hosts"], fleet["sources"]) == (1, 1)
    for query in ({"host_id": OTHERS.id}, {"source_id": source_of(town, OTHERS.id)}):
        assert (await client.get("/api/v1/runs", params=query)).json()["items"] == []
    assert (await client.get("/api/v1/sources", params={"host_id": OTHERS.id})).json()["items"] == []


async def test_what_belongs_to_another_host_is_not_there(town: Home) -> None:
    client = await ours(town, "admin")
    other = source_of(town, OTHERS.id)
    for path in (
        f"/api/v1/hosts/{OTHERS.id}",
        f"/api/v1/sources/{other}",
        f"/api/v1/sources/{other}/moments",
        f"/api/v1/runs/{an_id(f'run on {OTHERS.name}')}",
    ):
        assert (await client.get(path)).status_code == 404, path
    assert (await client.get(f"/api/v1/hosts/{OURS.id}")).status_code == 200
    assert (await client.get(f"/api/v1/runs/{an_id(f'run on {OURS.name}')}")).status_code == 200


async def test_no_route_that_takes_such_a_token_shows_or_changes_another_host(town: Home) -> None:
    """Generated: every route that its permit opens to them, at the addresses of somebody else's things."""
    client = await ours(town, "admin")
    alert_id = next(alert.id for alert in town.fleet.alerts.values() if alert.host_id == OTHERS.id)
    theirs = {
        "host_id": OTHERS.id,
        "source_id": source_of(town, OTHERS.id),
        "run_id": an_id(f"run on {OTHERS.name}"),
        "alert_id": alert_id,
    }
    paths = of_the_application(town)
    before = {**town.fleet.hosts}, {**town.fleet.sources}, {**town.fleet.alerts}
    tried = 0
    for route, permit in PERMITS.items():
        named = set(re.findall(r"\{(\w+)\}", route))
        if not permit.of_hosts or permit.is_public:
            continue
        method, _, template = route.partition(" ")
        if named:
            assert named & theirs.keys(), f"{route} names nothing by which its host is known"
            path = re.sub(r"\{(\w+)\}", lambda match: theirs.get(match[1], "none"), template)
            answer = await client.request(method, path, json={})
            assert answer.status_code in (404, 422), (route, answer.text)
            tried += 1
        else:
            answer = await client.request(method, paths[route], json={})
        assert OTHERS.name not in answer.text, route
        assert OTHERS.id not in answer.text.replace("No host has this id", ""), route
    assert tried > 10
    assert before == (town.fleet.hosts, town.fleet.sources, town.fleet.alerts)
    assert town.asked == []


async def test_every_route_about_more_than_its_hosts_refuses_it(town: Home) -> None:
    client = await ours(town, "admin")
    refused = 0
    for route, path in of_the_application(town).items():
        permit = PERMITS[route]
        if not permit.of_hosts and not permit.is_public:
            answer = await client.request(route.partition(" ")[0], path, json={})
            assert answer.status_code == 403, (route, answer.text)
            assert "is for single hosts" in answer.text
            refused += 1
    assert refused > 60


async def test_it_starts_backups_of_its_own_sources_and_of_no_other(town: Home) -> None:
    client = await ours(town)
    mine, other = source_of(town, OURS.id), source_of(town, OTHERS.id)
    assert (await client.post("/api/v1/runs", json={"source_id": mine})).status_code == 202
    assert (await client.post("/api/v1/runs", json={"source_id": other})).status_code == 404
    assert (await client.post("/api/v1/runs", json={"source_id": mine, "host_id": OTHERS.id})).status_code == 404
    whole = {"kind": "check", "repository_id": next(iter(town.fleet.repositories)), "host_id": OURS.id}
    assert (await client.post("/api/v1/runs", json=whole)).status_code == 403
    assert [wish.source_id for wish, _, _ in town.wished] == [mine]


async def test_it_makes_sources_on_its_own_hosts_alone(town: Home) -> None:
    client = await ours(town, "admin")
    repository_id = town.fleet.sources[source_of(town, OURS.id)].repository_id
    body = {"repository_id": repository_id, "name": "etc", "paths": ["/etc"]}
    refused = await client.post("/api/v1/sources", json={**body, "host_id": OTHERS.id})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "host_id")
    made = await client.post("/api/v1/sources", json={**body, "host_id": OURS.id})
    assert made.status_code == 201, made.text
    assert made.json()["host_id"] == OURS.id


async def test_a_token_of_hosts_that_are_gone_sees_nothing(town: Home) -> None:
    client = town.bearing(await town.token("admin", hosts=[an_id("a host that was removed")]))
    assert (await client.get("/api/v1/hosts")).json()["items"] == []
    assert (await client.get("/api/v1/runs")).json()["items"] == []
    assert (await client.get("/api/v1/fleet")).json()["sources"] == 0


def test_every_part_of_a_view_is_narrowed_or_known_to_be_only_looked_up(home: Home) -> None:
    """Whoever adds a part to the view has to say which of the two it is."""
    home.fleet.judging.degraded.update(home.fleet.hosts)
    nothing = narrow(home.fleet.view(), frozenset())
    left = {part.name for part in fields(nothing) if part.name not in LOOKED_UP and getattr(nothing, part.name)}
    assert left == set()
    assert {part.name for part in fields(nothing)} >= LOOKED_UP


def test_a_narrow_view_of_everything_is_everything_that_belongs_to_hosts(home: Home) -> None:
    view = home.fleet.view()
    seen = narrow(view, frozenset(view.hosts))
    assert seen.hosts == view.hosts
    assert set(seen.sources) == {one.id for one in view.sources.values() if one.host_id in view.hosts}
    assert seen.hosts_online == view.hosts_online
    nothing = narrow(view, frozenset())
    assert not (nothing.hosts or nothing.sources or nothing.repositories or nothing.running or nothing.alerts)
