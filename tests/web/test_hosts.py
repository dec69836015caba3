"""Hosts are renamed and removed: by page after a second question, and by API; what stays and what goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lastgood.model.source import Source
from lastgood.service.upkeep import Upkeep
from lastgood.store import records
from lastgood.store.lease import AlwaysHeld
from tests.builders import NOW
from tests.web.site import Home, at_home, form_token


def host_id(home: Home, name: str = "web-1") -> str:
    return home.fleet.host_ids_by_name[name]


def sources_of(home: Home, host: str) -> Iterable[Source]:
    return [source for source in home.fleet.sources.values() if source.host_id == host]


async def test_a_renamed_host_keeps_its_id_and_the_name_in_its_snapshots(home: Home) -> None:
    host, program = host_id(home), home.program()
    before = {source.id: source.restic_host for source in sources_of(home, host)}
    answer = await program.patch(f"/api/v1/hosts/{host}", json={"name": "  web-old "})
    assert (answer.status_code, answer.json()["name"], answer.json()["id"]) == (200, "web-old", host)
    assert {source.id: source.restic_host for source in sources_of(home, host)} == before
    assert set(before.values()) == {"web-1"}
    assert home.fleet.host_ids_by_name["web-old"] == host
    again = await program.patch(f"/api/v1/hosts/{host}", json={"name": "Web-Old"})
    assert again.json()["name"] == "Web-Old", "the case of one's own name may change"


@pytest.mark.parametrize(
    ("name", "status"), [("NAS", 409), ("", 422), ("-x", 422), ("a\nb", 422), ("x" * 101, 422), (None, 422)]
)
async def test_a_name_that_is_taken_or_none_is_refused(home: Home, name: str | None, status: int) -> None:
    answer = await home.program().patch(f"/api/v1/hosts/{host_id(home)}", json={"name": name})
    assert answer.status_code == status, answer.text
    assert host_id(home)


async def test_a_person_renames_on_the_page_and_hears_what_is_wrong(home: Home) -> None:
    person, host = await home.signed_in(), host_id(home)
    csrf = form_token((await person.get(f"/hosts/{host}")).text)
    wrong = await person.post(f"/hosts/{host}/rename", data={"csrf": csrf, "name": "nas"})
    assert wrong.status_code == 409
    assert "is here already" in wrong.text
    right = await person.post(f"/hosts/{host}/rename", data={"csrf": csrf, "name": "web-9"})
    assert right.headers["location"] == f"/hosts/{host}"
    assert host_id(home, "web-9") == host


async def test_a_person_is_told_what_goes_with_a_host_before_it_goes(home: Home) -> None:
    person, host = await home.signed_in(), host_id(home, "nas")
    vault = next(one for one in home.fleet.repositories.values() if one.name == "vault")
    home.fleet.repositories[vault.id] = replace(vault, watched_by=host)
    page = (await person.get(f"/hosts/{host}/remove")).text
    assert "4 sources" in page
    assert all(source.name in page for source in sources_of(home, host))
    assert "Nobody will look any more into" in page
    assert "not touched" in page
    assert host in home.fleet.hosts, "looking removes nothing"
    with capture_logs() as logged:
        gone = await person.post(f"/hosts/{host}/remove", data={"csrf": form_token(page)})
    assert gone.headers["location"] == "/hosts"
    assert [(line["event"], line["by"]) for line in logged] == [("host removed", "ann")]
    assert host not in home.fleet.hosts
    assert sources_of(home, host) == []
    assert home.fleet.repositories[vault.id] == vault
    assert (await person.get(f"/hosts/{host}")).status_code == 404


async def test_a_removed_host_leaves_nothing_that_is_open_and_its_name_is_free(home: Home) -> None:
    program, host = home.program(), host_id(home, "nas")
    await home.database.write(lambda rows: records.save_presence(rows, {host: (NOW, NOW)}))
    assert (await program.delete(f"/api/v1/hosts/{host}")).status_code == 204
    assert all(alert.host_id != host for alert in home.fleet.alerts.values())
    assert await home.database.read(records.load_presence) == {}
    assert "nas" not in home.fleet.host_ids_by_name
    assert (await program.delete(f"/api/v1/hosts/{host}")).status_code == 404
    assert (await program.patch(f"/api/v1/hosts/{host}", json={"name": "x"})).status_code == 404


async def test_presence_of_a_host_that_is_no_more_is_forgotten_and_never_written(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        judging = home.fleet.judging
        judging.presence["gone"] = judging.presence.get("gone") or home.fleet.presence_of("gone")
        upkeep = Upkeep(home.database, home.fleet, home.site.settings.retention, lambda: NOW, AlwaysHeld())
        await upkeep.note()
        assert "gone" not in judging.presence
        assert await home.database.read(records.load_presence) == {}


async def test_a_clock_far_off_is_shown_on_the_hosts_page(home: Home) -> None:
    person, host = await home.signed_in(), host_id(home)
    presence = home.fleet.judging.presence
    for offset, loud in ((184.2, True), (-61.0, True), (59.0, False)):
        presence[host] = type(presence[host])(connected=True, seen_at=NOW, clock_offset_seconds=offset)
        page = (await person.get(f"/hosts/{host}")).text
        assert f"{offset:+.1f} s" in page.replace("&#43;", "+")
        assert ("set its clock right" in page) == loud
