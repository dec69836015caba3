"""People add, change, pause and archive by pages alone; a fault stands beside its field and nothing is lost."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx

from lastgood.model.fact import HostEnrolled
from lastgood.model.job import Schedule
from lastgood.model.repository import Slot
from lastgood.model.retention import Retention
from lastgood.model.source import State
from tests.builders import NOW, a_host, a_repository, put_host, put_repository
from tests.web.site import ORIGIN, Home, form_token


async def send(client: httpx.AsyncClient, path: str, page: str | None = None, **said: str) -> httpx.Response:
    """Fill in the form of ``page`` (of ``path`` itself) and send it as a browser does."""
    shown = await client.get(page or path)
    assert shown.status_code == 200, shown.text
    return await client.post(path, data={"csrf": form_token(shown.text), **said}, headers={"origin": ORIGIN})


def faults(answer: httpx.Response) -> dict[str, str]:
    """Field -> the sentence beside it."""
    return dict(re.findall(r'<p class="error" id="(\w+)-told" role="alert">([^<]*)</p>', answer.text))


async def test_from_one_enrolled_host_to_a_scheduled_backup_by_pages_alone(empty_home: Home) -> None:
    home = empty_home
    host = a_host("web-1")
    await home.take([HostEnrolled(at=NOW, origin="test", host=host)], "enrol")
    client = await home.signed_in()
    overview = (await client.get("/")).text
    assert 'href="/repositories/new"' in overview
    assert 'href="/hosts"' in overview
    assert f"/hosts/{host.id}/sources/new" in (await client.get(f"/hosts/{host.id}")).text
    nothing = await client.get(f"/hosts/{host.id}/sources/new")
    assert 'href="/repositories/new"' in nothing.text
    answer = await send(
        client, "/repositories/new", name="vault", url="/srv/vault", where="file", password_file="/etc/vault.pass"
    )
    assert answer.status_code == 303, faults(answer)
    (repository,) = home.fleet.repositories.values()
    assert answer.headers["location"] == f"/repositories/{repository.id}"
    answer = await send(
        client,
        f"/hosts/{host.id}/sources/new",
        repository_id=repository.id,
        paths="/etc\r\n/home\r\n",
        excludes="*.tmp",
        cron="0 2 * * *",
        zone="Europe/Berlin",
        keep_daily="7",
    )
    assert answer.status_code == 303, faults(answer)
    (source,) = home.fleet.sources.values()
    assert (source.name, source.paths, source.excludes) == ("/etc", ("/etc", "/home"), ("*.tmp",))
    assert source.schedule == Schedule(cron="0 2 * * *", zone="Europe/Berlin")
    assert source.keep == Retention(daily=7)
    assert home.orders.give(host.id).orders[0].source_id == source.id
    assert "7 daily stay" in (await client.get(answer.headers["location"])).text
    # The same once more, as into a second repository, needs no name of its own either.
    answer = await send(client, f"/hosts/{host.id}/sources/new", repository_id=repository.id, paths="/etc")
    assert answer.status_code == 303, faults(answer)
    assert {one.name for one in home.fleet.sources.values()} == {"/etc", "/etc (vault)"}
    assert "paths" in faults(await send(client, f"/hosts/{host.id}/sources/new", repository_id=repository.id))


async def test_a_fault_stands_beside_its_field_and_what_was_written_stays(home: Home) -> None:
    client = await home.signed_in()
    answer = await send(client, "/repositories/new", name="new <one>", url="backup/dir", password_file="/p")
    assert answer.status_code == 422
    assert "relative path" in faults(answer)["url"]
    assert 'value="new &lt;one&gt;"' in answer.text
    assert 'value="backup/dir"' in answer.text
    answer = await send(client, "/repositories/new", name="other", url="/srv/other")
    assert set(faults(answer)) == {"password_file"}
    host_id = next(iter(home.fleet.hosts))
    page = f"/hosts/{host_id}/sources/new"
    answer = await send(
        client, page, paths="data", cron="0 2 * * *", repository_id=next(iter(home.fleet.repositories))
    )
    assert "not an absolute path" in faults(answer)["paths"]
    repository_id = next(iter(home.fleet.repositories))
    for said, field in (
        ({"cron": "0 25 * * *"}, "cron"),
        ({"keep_within": "0d"}, "keep_last"),
        ({"keep_daily": "-1"}, "keep_daily"),
        ({"target_seconds": "nan"}, "target_seconds"),
        ({"name": "HOME"}, "name"),
    ):
        answer = await send(client, page, **{"paths": "/data\n/more", "repository_id": repository_id, **said})
        assert answer.status_code in (409, 422)
        assert set(faults(answer)) == {field}, said
        assert "/data\n/more</textarea>" in answer.text


async def test_a_password_given_to_the_hub_is_never_shown_again(home: Home) -> None:
    client = await home.signed_in()
    said = {"where": "hub", "password": "canary-one", "environment": "AWS_SECRET_ACCESS_KEY=canary-two\n"}
    refused = await send(client, "/repositories/new", name="cloud two", url="s3:nothing", **said)
    assert refused.status_code == 422
    assert "canary" not in refused.text
    made = await send(client, "/repositories/new", name="cloud two", url="s3:https://s3.example/two", **said)
    assert made.status_code == 303, faults(made)
    repository_id = made.headers["location"].rpartition("/")[2]
    assert home.fleet.repositories[repository_id].held == (Slot.EVERYDAY,)
    for path in (f"/repositories/{repository_id}", f"/repositories/{repository_id}/edit", "/repositories"):
        assert "canary" not in (await client.get(path)).text
    edit = await client.get(f"/repositories/{repository_id}/edit")
    assert "AWS_SECRET_ACCESS_KEY" in edit.text


async def test_a_slot_is_filled_and_emptied_on_the_page_of_its_repository(home: Home) -> None:
    client = await home.signed_in()
    repository = put_repository(home.fleet, a_repository("shared", password_file="/p"))
    page, path = f"/repositories/{repository.id}/edit", f"/repositories/{repository.id}/credentials"
    wrong = await send(client, path, page, slot="admin", password="x", environment="LD_PRELOAD=/evil.so")
    assert "not for restic" in faults(wrong)["environment"]
    assert (await send(client, path, page, slot="admin", password="x")).status_code == 303
    assert home.fleet.repositories[repository.id].held == (Slot.ADMIN,)
    assert (await send(client, path, page, slot="admin", forget="on")).status_code == 303
    assert home.fleet.repositories[repository.id].held == ()


async def test_a_source_is_changed_paused_and_archived_by_its_page(home: Home) -> None:
    client = await home.signed_in()
    source = next(one for one in home.fleet.sources.values() if one.name == "etc")
    page = f"/sources/{source.id}"
    shown = (await client.get(f"{page}/edit")).text
    assert "\n".join(source.paths) in shown
    said = {
        "name": "system",
        "paths": "/etc",
        "cron": "",
        "target_seconds": "26",
        "keep_last": "3",
        "keep_within": "14d",
    }
    answer = await send(client, f"{page}/edit", **said)
    assert answer.status_code == 303, faults(answer)
    changed = home.fleet.sources[source.id]
    assert (changed.name, changed.paths, changed.schedule) == ("system", ("/etc",), None)
    assert changed.target == timedelta(hours=26)
    assert changed.keep == Retention(last=3, within="14d")
    assert (await send(client, f"{page}/pause", page, days="7")).status_code == 303
    assert home.fleet.sources[source.id].paused_until == home.moment + timedelta(days=7)
    assert home.fleet.sources[source.id].paused_by == "ann"
    assert (await send(client, f"{page}/pause", page, resume="on")).status_code == 303
    assert home.fleet.sources[source.id].paused_until is None
    assert (await send(client, f"{page}/archive", page)).status_code == 303
    assert home.fleet.judging.states[source.id] is State.ARCHIVED
    assert (await send(client, f"{page}/archive", page, bring_back="on")).status_code == 303
    assert home.fleet.sources[source.id].archived_by is None


async def test_a_repository_is_removed_by_its_page_only_once_nothing_needs_it(home: Home) -> None:
    client = await home.signed_in()
    used = next(iter(home.fleet.sources_of_repository))
    page = f"/repositories/{used}/edit"
    unsure = await send(client, f"/repositories/{used}/remove", page)
    assert unsure.status_code == 422
    refused = await send(client, f"/repositories/{used}/remove", page, sure="on")
    assert "web-1/etc" in faults(refused)["sure"]
    unused = put_repository(home.fleet, a_repository("unused", password_file="/p"))
    page = f"/repositories/{unused.id}/edit"
    assert (await send(client, f"/repositories/{unused.id}/remove", page, sure="on")).status_code == 303
    assert unused.id not in home.fleet.repositories


async def test_a_trial_without_an_agent_says_so_on_the_page(home: Home) -> None:
    client = await home.signed_in()
    repository_id = next(iter(home.fleet.repositories))
    host = put_host(home.fleet, a_host("gone"), online=False)
    page = f"/repositories/{repository_id}"
    answer = await send(client, f"{page}/test", page, host_id=host.id)
    assert answer.status_code == 200
    assert "The agent of gone is not connected" in answer.text
