"""Containers of a host and the coverage of their data, as people and programs see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model import fact
from lastgood.model.docker import EngineState
from tests.builders import (
    NOW,
    a_host,
    a_repository,
    a_run,
    a_source,
    put_host,
    put_repository,
    put_source,
    some_evidence,
)
from tests.dock import a_bind, a_container, a_volume, an_engine, an_inventory, of_volume, put_inventory
from tests.web.site import Home, at_home, form_token

ODD = 'odd <b>"name"</b> \\ größe'
HOST, BARE = a_host("dock-1"), a_host("bare")
SOURCE = a_source("volumes", HOST, paths=("/var/lib/docker/volumes",))


def docked() -> Fleet:
    fleet = Fleet()
    fleet.judging.evaluated_at = NOW
    for host in (HOST, BARE):
        put_host(fleet, host)
        fleet.judging.tell_online(host.id, True)
    put_repository(fleet, a_repository())
    put_source(fleet, SOURCE, some_evidence(a_run(SOURCE)))
    web = a_container("web", of_volume("shop_data"), a_bind("/srv/shop"), a_bind("/etc/localtime", "/etc/localtime"))
    odd = replace(a_container("odd", project=None), name=ODD, key=ODD, crashes=5)
    put_inventory(fleet, HOST, an_inventory(web, odd, volumes=(a_volume("shop_data"),), more_containers=7))
    return fleet


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with at_home(tmp_path, docked()) as made:
        yield made


async def test_a_programs_list_tells_of_each_place_whether_it_is_backed_up(home: Home) -> None:
    items = (await home.program().get("/api/v1/coverage")).json()["items"]
    assert {one["title"]: one["answer"] for one in items} == {
        "shop_data": "backed_up",
        "/srv/shop": "never",
        "/etc/localtime": "excluded",
    }
    good = next(one for one in items if one["answer"] == "backed_up")
    assert (good["source"], good["host"], good["containers"]) == ("volumes", "dock-1", ["shop/web/1"])
    assert good["last_good_at"] is not None


async def test_a_list_is_filtered_and_turned_page_by_page(home: Home) -> None:
    client = home.program()
    only = (await client.get("/api/v1/coverage", params={"answer": "never"})).json()
    assert [one["title"] for one in only["items"]] == ["/srv/shop"]
    assert (await client.get("/api/v1/coverage", params={"host_id": BARE.id})).json()["items"] == []
    assert (await client.get("/api/v1/coverage", params={"q": "dock-1 data"})).json()["total"] == 1
    seen, cursor = [], None
    while True:
        told = (await client.get("/api/v1/coverage", params={"limit": 1, "cursor": cursor or ""})).json()
        seen += [one["subject"] for one in told["items"]]
        cursor = told["next_cursor"]
        if cursor is None:
            break
    assert seen == ["bind:/etc/localtime", "bind:/srv/shop", "volume:shop_data"]


async def test_a_person_excludes_a_place_with_a_reason_and_takes_it_back(home: Home) -> None:
    client, path = home.program(), f"/api/v1/hosts/{HOST.id}/coverage"
    for reason in ("", "   ", "x" * 301):
        answer = await client.post(f"{path}/exclude", json={"subject": "bind:/srv/shop", "reason": reason})
        assert answer.status_code in (400, 422), reason[:5]
    answer = await client.post(f"{path}/exclude", json={"subject": "bind:/srv/shop", "reason": "a mirror"})
    assert (answer.status_code, answer.json()["answer"]) == (200, "excluded")
    assert (answer.json()["because"], answer.json()["excluded_by"]) == ("a mirror", "script")
    answer = await client.post(f"{path}/include", json={"subject": "bind:/srv/shop"})
    assert answer.json()["answer"] == "never"
    for subject in ("bind:/x", "shop_db"):
        answer = await client.post(f"{path}/exclude", json={"subject": subject, "reason": "y"})
        assert (answer.status_code, "volume:NAME or bind:PATH" in answer.text) == (404, True)
    bare = f"/api/v1/hosts/{BARE.id}/coverage/exclude"
    assert (await client.post(bare, json={"subject": "bind:/srv/shop", "reason": "y"})).status_code == 404


async def test_the_page_excludes_by_a_form_and_shows_who_did(home: Home) -> None:
    client = await home.signed_in()
    page = await client.get("/coverage")
    assert "/srv/shop" in page.text
    assert "shop_data" not in page.text
    said = {"csrf": form_token(page.text), "subject": "bind:/srv/shop", "reason": "it is <b>scratch</b>"}
    answer = await client.post(f"/hosts/{HOST.id}/coverage/exclude", data=said)
    assert answer.status_code == 303
    shown = (await client.get(answer.headers["location"])).text
    assert "it is &lt;b&gt;scratch&lt;/b&gt;" in shown
    assert "Take back" in shown
    del said["reason"]
    await client.post(f"/hosts/{HOST.id}/coverage/include", data=said)
    assert "Take back" not in (await client.get("/coverage?answer=all")).text


async def test_a_host_page_leads_to_its_containers_and_odd_names_stay_text(home: Home) -> None:
    client = await home.signed_in()
    assert f"/hosts/{HOST.id}/docker" in (await client.get(f"/hosts/{HOST.id}")).text
    assert f"/hosts/{BARE.id}/docker" not in (await client.get(f"/hosts/{BARE.id}")).text
    shown = (await client.get(f"/hosts/{HOST.id}/docker")).text
    assert "shop-web-1" in shown
    assert "<b>" not in shown
    assert "crashed 5 times lately" in shown
    assert "and 7 more, which are only counted" in shown
    assert (await client.get(f"/hosts/{BARE.id}/docker")).status_code == 404


async def test_containers_are_told_whole_and_the_engine_with_counts(home: Home) -> None:
    client = home.program()
    containers = (await client.get(f"/api/v1/hosts/{HOST.id}/containers")).json()
    assert [one["name"] for one in containers["items"]] == [ODD, "shop-web-1"]
    assert containers["items"][0]["wrong"] == "crashed 5 times lately"
    engine = (await client.get(f"/api/v1/hosts/{HOST.id}/docker")).json()
    assert engine["containers"] == {"running": 2}
    assert engine["answers"] == {"backed_up": 1, "seen": 0, "excluded": 1, "never": 1}
    assert (engine["current"], engine["degraded_because"], engine["more_containers"]) == (True, None, 7)
    for path in (f"/api/v1/hosts/{BARE.id}/docker", f"/api/v1/hosts/{BARE.id}/containers", "/api/v1/hosts/x/docker"):
        assert (await client.get(path)).status_code == 404


async def test_what_was_seen_last_of_an_engine_that_is_silent_is_not_told_as_if_it_were_now(home: Home) -> None:
    silent = an_engine(
        state=EngineState.SILENT, message="It takes connections and answers nothing.", silent_since=NOW
    )
    learn(home.fleet, fact.EngineReported(at=NOW, origin="test", host_id=HOST.id, seen_at=NOW, engine=silent))
    engine = (await home.program().get(f"/api/v1/hosts/{HOST.id}/docker")).json()
    assert (engine["current"], engine["state"]) == (False, "silent")
    assert engine["degraded_because"] == "It takes connections and answers nothing."
    assert all(not one["current"] for one in (await home.program().get("/api/v1/coverage")).json()["items"])
    shown = (await (await home.signed_in()).get(f"/hosts/{HOST.id}/docker")).text
    assert "nothing newer is known" in shown
    assert "It takes connections and answers nothing." in shown
    rows = shown.partition('<table class="rows">')[2].partition("</table>")[0]
    assert "is-unknown" in rows
    assert "is-good" not in rows
    assert (
        "It takes connections and answers nothing." in (await (await home.signed_in()).get(f"/hosts/{HOST.id}")).text
    )


async def test_the_page_of_coverage_has_no_good_answer_for_a_host_without_an_engine(home: Home) -> None:
    client = await home.signed_in()
    for host_id in (BARE.id, "nowhere"):
        answer = await client.get("/coverage", params={"host": host_id})
        assert (answer.status_code, "a backup is known" in answer.text) == (404, False)


async def test_a_token_for_one_host_sees_the_data_of_that_host_alone(home: Home) -> None:
    other = a_host("dock-2")
    put_host(home.fleet, other)
    put_inventory(home.fleet, other, an_inventory(a_container("web", a_bind("/srv/secret"))))
    token = await home.token("viewer", hosts=(HOST.id,))
    async with home.bearing(token) as client:
        items = (await client.get("/api/v1/coverage")).json()["items"]
        assert {one["host"] for one in items} == {"dock-1"}
        assert (await client.get("/api/v1/coverage", params={"host_id": other.id})).json()["items"] == []
        assert (await client.get(f"/api/v1/hosts/{other.id}/containers")).status_code in (403, 404)
        told = {"subject": "bind:/srv/shop", "reason": "no"}
        assert (await client.post(f"/api/v1/hosts/{HOST.id}/coverage/exclude", json=told)).status_code == 403
