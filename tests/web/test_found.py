"""Found sources on pages and in the API: shown as what they are, adopted, renamed, muted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.found import SILENT
from lastgood.model import fact
from lastgood.model.source import Source
from tests.builders import NOW, a_host, a_source
from tests.fleet.vault import DAY, Vault, a_snapshot
from tests.web.site import Home, at_home, form_token

HOST = a_host("web-1")
NIGHTS = 11


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """A watched repository with two nightly series, beside an agent's source that was never run."""
    vault = Vault(fleet=Fleet())
    first = NOW - NIGHTS * DAY + timedelta(hours=2)
    vault.nightly(first, NIGHTS, "nas")
    vault.nightly(first, NIGHTS, "box")
    vault.listed.append(a_snapshot(NOW + 30 * DAY, "box"))
    vault.look(NOW - timedelta(hours=1))
    vault.tell(fact.HostEnrolled(at=NOW, origin="test", host=HOST))
    source = a_source("home", HOST, vault.repository, created_at=NOW, revised_at=NOW)
    vault.tell(fact.SourceConfigured(at=NOW, origin="test", source=source))
    async with at_home(tmp_path, vault.fleet) as home:
        home.judge()
        yield home


def found(home: Home, host: str) -> Source:
    (source,) = [one for one in home.fleet.sources.values() if one.is_found and one.restic_host == host]
    return source


def configured(home: Home) -> Source:
    (source,) = [one for one in home.fleet.sources.values() if not one.is_found]
    return source


async def test_the_api_tells_what_a_found_source_is_and_what_its_repository_gives_to_doubt(home: Home) -> None:
    nas = found(home, "nas")
    async with home.program() as client:
        told = (await client.get(f"/api/v1/sources/{nas.id}")).json()
        assert (told["found"], told["host_id"], told["host"], told["rhythm_seconds"]) == (True, None, "nas", 86400.0)
        assert told["state"] == "good"
        ours = (await client.get(f"/api/v1/sources/{configured(home).id}")).json()
        assert (ours["found"], ours["rhythm_seconds"]) == (False, None)
        repository = (await client.get(f"/api/v1/repositories/{nas.repository_id}")).json()
        assert [one["kind"] for one in repository["findings"]] == ["future"]
        assert repository["surveyed_at"] is not None
        listed = (await client.get("/api/v1/sources")).json()["items"]
        assert {one["host"] for one in listed} == {"nas", "box", "web-1"}


async def test_adoption_ends_the_found_source_and_answers_its_owner_also_when_asked_twice(home: Home) -> None:
    nas, owner = found(home, "nas"), configured(home)
    async with home.program() as client:
        for _ in range(2):
            answer = await client.post(
                f"/api/v1/sources/{nas.id}/adopt", json={"into_id": owner.id}, headers={"Idempotency-Key": "once"}
            )
            assert answer.status_code == 200, answer.text
            assert (answer.json()["id"], answer.json()["snapshots"]) == (owner.id, NIGHTS)
        assert nas.id not in home.fleet.sources
        again = await client.post(f"/api/v1/sources/{nas.id}/adopt", json={"into_id": owner.id})
        assert again.status_code == 404


@pytest.mark.parametrize("into", ["itself", "nothing"])
async def test_adoption_by_what_cannot_adopt_is_refused_with_a_sentence(home: Home, into: str) -> None:
    nas = found(home, "nas")
    async with home.program() as client:
        into_id = nas.id if into == "itself" else "nothing"
        answer = await client.post(f"/api/v1/sources/{nas.id}/adopt", json={"into_id": into_id})
        assert answer.status_code == 422
        assert "another source of the same repository" in answer.json()["error"]["message"]
        ours = await client.post(f"/api/v1/sources/{configured(home).id}/adopt", json={"into_id": nas.id})
        assert ours.status_code == 422


async def test_a_found_source_is_listed_under_the_host_whose_name_it_has(home: Home) -> None:
    nas = found(home, "nas")
    async with home.program() as client:
        answer = await client.post(f"/api/v1/sources/{nas.id}/alias", json={"host_id": HOST.id})
        assert (answer.json()["host"], answer.json()["host_id"]) == ("web-1", None)
        listed = (await client.get("/api/v1/sources", params={"host_id": HOST.id})).json()["items"]
        assert {one["id"] for one in listed} == {nas.id, configured(home).id}
        unknown = await client.post(f"/api/v1/sources/{nas.id}/alias", json={"host_id": "nowhere"})
        assert unknown.status_code == 422
        back = await client.post(f"/api/v1/sources/{nas.id}/alias", json={"host_id": None})
        assert back.json()["host"] == "nas"


async def test_muting_bears_the_name_of_who_did_it_and_what_others_make_cannot_be_changed(home: Home) -> None:
    nas = found(home, "nas")
    async with home.program() as client:
        muted = await client.patch(f"/api/v1/sources/{nas.id}", json={"archived": True})
        assert (muted.json()["state"], muted.json()["archived_by"]) == ("archived", "script")
        paths = await client.patch(f"/api/v1/sources/{nas.id}", json={"paths": ["/other"]})
        assert paths.status_code == 422
        target = await client.patch(f"/api/v1/sources/{nas.id}", json={"archived": False, "target_seconds": 93600})
        assert target.json()["state"] == "good"


async def test_the_pages_show_a_found_source_and_its_buttons_do_the_same(home: Home) -> None:
    nas, owner = found(home, "nas"), configured(home)
    async with await home.signed_in("ann") as client:
        body = (await client.get(f"/sources/{nas.id}")).text
        assert "Found in its repository" in body
        assert "about every 24\u202fh" in body or "about every 24 h" in body
        assert "Back up now" not in body
        token = {"csrf": form_token(body)}
        answer = await client.post(f"/sources/{nas.id}/alias", data={**token, "host": "WEB-1"})
        assert answer.status_code == 303
        assert home.fleet.sources[nas.id].alias_host_id == HOST.id
        answer = await client.post(f"/sources/{nas.id}/target", data={**token, "target_seconds": "26"})
        assert answer.status_code == 303
        assert home.fleet.sources[nas.id].target == timedelta(hours=26)
        assert 'name="target_seconds" value="26"' in (await client.get(f"/sources/{nas.id}")).text
        await client.post(f"/sources/{nas.id}/target", data={**token, "target_seconds": ""})
        assert home.fleet.sources[nas.id].target is None
        await client.post(f"/sources/{nas.id}/mute", data={**token, "muted": "1"})
        assert home.fleet.sources[nas.id].archived_by == "ann"
        await client.post(f"/sources/{nas.id}/mute", data=token)
        assert home.fleet.sources[nas.id].archived_by is None
        answer = await client.post(f"/sources/{nas.id}/adopt", data={**token, "into_id": owner.id})
        assert answer.headers["location"] == f"/sources/{owner.id}"
        assert nas.id not in home.fleet.sources
        assert "Findings" in (await client.get(f"/repositories/{nas.repository_id}")).text
        for path in ("/", f"/repositories/{nas.repository_id}", f"/sources/{found(home, 'box').id}"):
            assert (await client.get(path)).status_code == 200


async def test_a_silent_series_that_lastgood_archived_is_muted_for_good_by_a_person(home: Home) -> None:
    nas = found(home, "nas")
    home.fleet.sources[nas.id] = replace(nas, archived_by=SILENT)
    async with home.program() as client:
        answer = await client.patch(f"/api/v1/sources/{nas.id}", json={"archived": True})
        assert answer.json()["archived_by"] == "script"
