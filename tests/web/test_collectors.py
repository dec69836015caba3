"""What a server tells on the pages and in the API: its own words, and none of restic's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lastgood.model.collected import CollectorHealth
from lastgood.model.repository import RepositoryState
from lastgood.service.collectors import Configured
from tests.builders import NOW, a_host, put_host
from tests.collect.tiny import STORE, Picture, Tiny, a_group
from tests.web.site import Home, at_home


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Home]:
    """A home whose collector has told two groups."""
    tiny = Tiny(lambda: NOW)
    tiny.sources = [
        a_group(
            "vm-100", NOW - timedelta(hours=2), remarks=("A <b>remark</b>.",), verified_at=NOW - timedelta(days=1)
        ),
        a_group("ct-101", NOW - timedelta(hours=2), running_since=NOW - timedelta(minutes=3)),
    ]
    async with at_home(tmp_path, collected=[Configured(tiny)]) as made:
        await made.collectors._tell(tiny, [report async for report in tiny.collect()])
        tiny.show(Picture(missing=("Datastore.Audit on /datastore/x",), truncated=4, pending_groups=2))
        made.judge()
        made.fleet.judging.collectors["pbs/box"] = CollectorHealth(heard=True)
        yield made


async def api(home: Home, path: str) -> Any:
    answer = await home.program().get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def text(home: Home, path: str) -> str:
    answer = await (await home.signed_in()).get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_collected_source_is_told_whole(box: Home) -> None:
    told = await api(box, "sources/vm-100")
    assert (told["tool"], told["host"], told["host_id"], told["collector"]) == ("pbs", "pbs-1", None, "pbs/box")
    assert (told["state"], told["found"], told["remarks"]) == ("good", True, ["A <b>remark</b>."])
    assert told["verified_at"] == "2026-03-13T12:00:00Z"
    running = await api(box, "sources/ct-101")
    assert (running["running"], running["run_id"]) == (True, None)


async def test_its_page_has_no_button_that_nothing_answers_and_no_word_of_restic(box: Home) -> None:
    page = await text(box, "/sources/vm-100")
    assert "A &lt;b&gt;remark&lt;/b&gt;." in page
    assert "Told by its server" in page
    for word in ("Back up now", "Forget old snapshots", "Adopt", "restic", "Mute it", "No agent makes it"):
        assert word not in page, word
    assert "A backup is under way since" in await text(box, "/sources/ct-101")


async def test_its_repository_tells_room_and_upkeep_and_offers_nothing_that_its_server_does(box: Home) -> None:
    told = await api(box, f"repositories/{STORE}")
    assert (told["collector"], told["available_bytes"], told["total_bytes"]) == ("pbs/box", 60, 100)
    page = await text(box, f"/repositories/{STORE}")
    assert "Room left" in page
    assert "Told by" in page
    for word in ("Locks", "Uncompressed", "Credentials", "Try it out", "Remove stale locks", "/edit", "Prune"):
        assert word not in page, word


async def test_what_its_server_tells_is_not_changed_here(box: Home) -> None:
    client = box.program()
    path = f"/api/v1/repositories/{STORE}"
    put_host(box.fleet, a_host())
    refused = [
        await client.patch(path, json={"name": "mine"}),
        await client.post(f"{path}/test", json={}),
        await client.put(f"{path}/credentials/everyday", json={"password": "x"}),
        await client.post(
            "/api/v1/sources",
            json={"host_id": a_host().id, "repository_id": STORE, "name": "mine", "paths": ["/srv"]},
        ),
        await client.post("/api/v1/sources/vm-100/adopt", json={"into_id": "ct-101"}),
    ]
    assert [answer.status_code >= 400 for answer in refused] == [True] * len(refused)
    assert all("server" in answer.json()["error"]["message"] for answer in refused), [a.text for a in refused]
    assert box.fleet.repositories[STORE].name == "box/main"


async def test_it_goes_by_hand_once_its_server_has_told_nothing_of_it_for_long(box: Home) -> None:
    client, path = box.program(), f"/api/v1/repositories/{STORE}"
    box.fleet.judging.repository_states[STORE] = RepositoryState.UP
    assert (await client.delete(path)).status_code == 409
    box.fleet.judging.repository_states[STORE] = RepositoryState.UNKNOWN
    assert (await client.delete(path)).status_code == 200
    assert box.fleet.sources == {}


async def test_what_people_may_set_is_set_and_outlives_the_next_round(box: Home) -> None:
    answer = await box.program().patch("/api/v1/sources/vm-100", json={"name": "mail", "target_seconds": 180000})
    assert answer.status_code == 200, answer.text
    source = box.fleet.sources["vm-100"]
    assert (source.name, source.target) == ("mail", timedelta(hours=50))


async def test_a_look_is_asked_of_its_collector(box: Home) -> None:
    (probe,) = box.collectors._configured["pbs/box"].collector.probes
    answer = await box.program().post(f"/api/v1/repositories/{STORE}/look")
    assert answer.status_code == 202
    assert probe.wanted.is_set()
    assert box.asked == []


async def test_collectors_are_listed_with_what_keeps_them_from_knowing_more(box: Home) -> None:
    (one,) = (await api(box, "collectors"))["items"]
    assert (one["name"], one["sources"], one["repositories"]) == ("pbs/box", 2, 1)
    assert (one["missing"], one["truncated"], one["pending"]) == (["Datastore.Audit on /datastore/x"], 4, 2)
    assert [probe["name"] for probe in one["probes"]] == ["look"]
    page = await text(box, "/collectors")
    assert "Datastore.Audit on /datastore/x" in page
    assert "2 sources were not looked at yet" in page


async def test_a_failing_collector_says_since_when_and_why(box: Home) -> None:
    health = CollectorHealth(heard=True, failing_since=NOW - timedelta(hours=1), message="The <token> is wrong.")
    box.fleet.judging.collectors["pbs/box"] = health
    (one,) = (await api(box, "collectors"))["items"]
    assert (one["state"], one["message"]) == ("failing", "The <token> is wrong.")
    assert "The &lt;token&gt; is wrong." in await text(box, "/collectors")
    box.fleet.judging.collectors["pbs/box"] = replace(health, expected_off=True)
    assert "expected to be off" in await text(box, "/collectors")


async def test_a_long_message_is_shown_to_its_end_where_the_mend_stands(box: Home) -> None:
    message = f"box shows the certificate {'18:dd:' * 30}, which is not the pinned one: set this fingerprint."
    box.fleet.judging.collectors["pbs/box"] = CollectorHealth(heard=True, failing_since=NOW, message=message)
    assert len(message) > 200
    assert message in await text(box, "/collectors")


async def test_without_a_server_the_page_says_how_to_name_one(home: Home) -> None:
    assert "No server is asked" in await text(home, "/collectors")
    assert (await api(home, "collectors"))["items"] == []


async def test_the_lists_show_collected_things_beside_all_others(box: Home) -> None:
    assert {one["id"] for one in (await api(box, "sources"))["items"]} == {"vm-100", "ct-101"}
    assert "box/main" in await text(box, "/repositories")
    assert "vm-100" in await text(box, "/")


async def test_a_server_that_never_answered_is_not_up_because_a_question_had_nothing_to_ask(box: Home) -> None:
    tiny = box.collectors._configured["pbs/box"].collector
    assert isinstance(tiny, Tiny)
    assert "No answer from" not in await text(box, "/")
    tiny.show(Picture(up=False, message="nas cannot be connected to."))
    assert (await api(box, "collectors"))["items"][0]["state"] == "unknown"
    page = await text(box, "/")
    assert re.search(r"No answer from (<bdi>)?pbs/box(</bdi>)?: what is new there is not known", page), page
    assert 'href="/collectors"' in page
