from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lastgood.model.fact import AlertOpened, AlertResolved, RunFinished
from lastgood.model.job import Outcome, Schedule
from lastgood.model.source import State
from lastgood.wire.frames import Progress
from tests.builders import NOW, a_fleet, a_repository, a_run, an_alert, put_repository
from tests.web.gallery import AWKWARD, LONG
from tests.web.site import Home, form_token


def new_source(home: Home, **changes: Any) -> dict[str, Any]:
    host_id, repository_id = next(iter(home.fleet.hosts)), next(iter(home.fleet.repositories))
    made = {
        "host_id": host_id,
        "repository_id": repository_id,
        "name": "data",
        "paths": ["/data"],
        "excludes": ["*.tmp"],
        "schedule": {"cron": "0 3 * * *", "zone": "Europe/Berlin"},
    }
    return made | changes


async def test_a_source_is_made_and_is_new_at_once(home: Home) -> None:
    answer = await home.program().post("/api/v1/sources", json=new_source(home))
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["paths"], made["excludes"]) == ("data", ["/data"], ["*.tmp"])
    assert made["state"] == "new"
    assert made["due_at"] == "2026-03-15T02:00:00Z"
    assert made["last_good_at"] is None
    source = home.fleet.sources[made["id"]]
    assert source.schedule == Schedule(cron="0 3 * * *", zone="Europe/Berlin")
    assert source.restic_host == home.fleet.hosts[source.host_id].name


async def test_the_same_idempotency_key_makes_one_source_even_at_once(home: Home) -> None:
    client = home.program()
    headers = {"Idempotency-Key": "make data"}
    before = len(home.fleet.sources)
    answers = await asyncio.gather(
        *(client.post("/api/v1/sources", json=new_source(home), headers=headers) for _ in range(3))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    home.turn(hours=3)
    again = await client.post("/api/v1/sources", json=new_source(home), headers=headers)
    assert again.json()["id"] == answers[0].json()["id"]
    assert len(home.fleet.sources) == before + 1
    other = await client.post(
        "/api/v1/sources", json=new_source(home, name="other"), headers={"Idempotency-Key": "make other"}
    )
    assert other.json()["id"] != answers[0].json()["id"]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"host_id": "none"}, 422, "host_id"),
        ({"repository_id": "none"}, 422, "repository_id"),
        ({"name": " "}, 422, "name"),
        ({"name": "x" * 201}, 422, "name"),
        ({"name": "two\nlines"}, 422, "name"),
        ({"name": "HOME"}, 409, "name"),
        ({"paths": []}, 422, "paths"),
        ({"paths": ["data"]}, 422, "paths"),
        ({"paths": ["--help"]}, 422, "paths"),
        ({"paths": ["/a\x00b"]}, 422, "paths"),
        ({"paths": [f"/{number}" for number in range(1001)]}, 422, "paths"),
        ({"paths": "/data"}, 422, "paths"),
        ({"excludes": [""]}, 422, "excludes"),
        ({"schedule": {"cron": "0 3 * *"}}, 422, "schedule"),
        ({"schedule": {"cron": "0 3 31 2 *"}}, 422, "schedule"),
        ({"schedule": {"cron": "61 3 * * *"}}, 422, "schedule"),
        ({"schedule": {"cron": "0 3 * * *", "zone": "Mars/Olympus"}}, 422, "schedule"),
        ({"schedule": {"cron": "0 3 * * *", "zone": "../../etc/passwd"}}, 422, "schedule"),
        ({"target_seconds": 1}, 422, "target_seconds"),
        ({"target_seconds": 1e12}, 422, "target_seconds"),
        ({"grace_seconds": -1}, 422, "grace_seconds"),
        ({"color": "red"}, 422, "color"),
    ],
)
async def test_what_a_source_may_not_be_is_told_with_its_field(
    home: Home, changes: dict[str, Any], status: int, field: str
) -> None:
    before = dict(home.fleet.sources)
    answer = await home.program().post("/api/v1/sources", json=new_source(home, **changes))
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["field"] == field
    assert error["message"].endswith(".")
    assert home.fleet.sources == before


async def test_a_source_is_changed_only_where_something_is_said(home: Home) -> None:
    source = home.fleet.sources[by_name(home, "etc")]
    client = home.program()
    answer = await client.patch(f"/api/v1/sources/{source.id}", json={"name": "settings", "grace_seconds": 600})
    assert answer.status_code == 200
    after = home.fleet.sources[source.id]
    assert after == replace(source, name="settings", grace=timedelta(minutes=10), revised_at=after.revised_at)
    assert (await client.patch(f"/api/v1/sources/{source.id}", json={"grace_seconds": None})).status_code == 200
    assert home.fleet.sources[source.id].grace is None


async def test_a_source_is_paused_and_archived_with_the_name_of_who_did_it(home: Home) -> None:
    client, source_id = await home.signed_in(), by_name(home, "etc")
    client.headers["x-csrf-token"] = (await client.get("/api/v1/me")).json()["csrf_token"]
    until = (NOW + timedelta(days=1)).isoformat()
    answer = await client.patch(f"/api/v1/sources/{source_id}", json={"paused_until": until})
    assert (answer.json()["state"], answer.json()["paused_by"]) == ("paused", "ann")
    assert "ann" in answer.json()["reason"]
    answer = await client.patch(f"/api/v1/sources/{source_id}", json={"paused_until": None, "archived": True})
    assert (answer.json()["state"], answer.json()["archived"]) == ("archived", True)
    assert home.fleet.sources[source_id].archived_by == "ann"
    answer = await client.patch(f"/api/v1/sources/{source_id}", json={"archived": False})
    assert answer.json()["state"] != "archived"


@pytest.mark.parametrize("until", ["2026-03-14T11:00:00Z", "2026-03-15T12:00:00", "2099-01-01T00:00:00Z"])
async def test_a_pause_ends_at_a_moment_to_come(home: Home, until: str) -> None:
    answer = await home.program().patch(f"/api/v1/sources/{by_name(home, 'etc')}", json={"paused_until": until})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "paused_until"


async def test_a_repository_is_added_once(home: Home) -> None:
    client = home.program()
    body = {"name": "attic", "url": "sftp:backup@attic.example:/srv", "password_file": "/etc/lastgood/attic.key"}
    answer = await client.post("/api/v1/repositories", json=body)
    assert answer.status_code == 201
    assert answer.json()["state"] == "unknown"
    again = await client.post("/api/v1/repositories", json=body)
    assert (again.status_code, again.json()["error"]["field"]) == (409, "name")
    again = await client.post("/api/v1/repositories", json=body | {"name": "other"})
    assert (again.status_code, again.json()["error"]["field"]) == (409, "url")


@pytest.mark.parametrize(
    "url", ["rest:https://ann:geheim@attic.example/", "https://ann:geheim@attic.example/", "s3:https://a:geheim@s3/b"]
)
async def test_a_repository_address_with_a_password_is_refused_without_repeating_it(home: Home, url: str) -> None:
    body = {"name": "attic", "url": url, "password_file": "/etc/lastgood/attic.key"}
    answer = await home.program().post("/api/v1/repositories", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "url")
    assert "geheim" not in answer.text


async def test_wishes_are_handed_on_with_the_name_of_who_wished(home: Home) -> None:
    client, source_id = home.program(), by_name(home, "home")
    started = await client.post("/api/v1/runs", json={"source_id": source_id})
    assert started.status_code == 202
    assert len(started.json()["run_id"]) == 26
    run_id = next(iter(home.fleet.running))
    assert (await client.post(f"/api/v1/runs/{run_id}/cancel")).status_code == 202
    repository_id = next(iter(home.fleet.repositories))
    assert (await client.post(f"/api/v1/repositories/{repository_id}/look")).status_code == 202
    assert home.asked == [("run", source_id, "script"), ("cancel", run_id, "script"), ("look", repository_id)]


@pytest.mark.parametrize("path", ["sources", "hosts", "repositories"])
async def test_a_list_read_page_by_page_names_everything_once(home: Home, path: str) -> None:
    home.fleet = a_fleet(25)
    client, seen, cursor = home.program(), [], ""
    for _ in range(4):
        body = (await client.get(f"/api/v1/{path}?limit=8{cursor}")).json()
        assert body["total"] == 25
        seen += [item["id"] for item in body["items"]]
        cursor = f"&cursor={body['next_cursor']}"
    assert body["next_cursor"] is None
    assert seen == sorted(getattr(home.fleet, path))


async def test_what_goes_between_two_pages_neither_repeats_nor_skips_the_rest(home: Home) -> None:
    home.fleet = a_fleet(6)
    client = home.program()
    first = (await client.get("/api/v1/repositories?limit=3")).json()
    del home.fleet.repositories[first["items"][2]["id"]]
    second = (await client.get(f"/api/v1/repositories?limit=3&cursor={first['next_cursor']}")).json()
    assert len(second["items"]) == 3
    assert not {item["id"] for item in first["items"]} & {item["id"] for item in second["items"]}


async def test_sources_are_found_by_state_host_repository_and_text(home: Home) -> None:
    client = home.program()
    host_id = next(host.id for host in home.fleet.hosts.values() if host.name == "nas")
    repository_id = next(found.id for found in home.fleet.repositories.values() if found.name == "cloud")

    async def names(query: str) -> set[str]:
        return {item["name"] for item in (await client.get(f"/api/v1/sources?{query}")).json()["items"]}

    assert await names("state=failed") == {"postgres"}
    assert await names("state=failed,never") == {"postgres", "music"}
    assert await names("state=archived") == {"old-site"}
    assert "old-site" in await names("")
    assert await names(f"host_id={host_id}") == {"photos", "music", "videos", "scratch"}
    assert await names(f"repository_id={repository_id}") == {"postgres", "music"}
    assert await names(f"host_id={host_id}&repository_id={repository_id}") == {"music"}
    assert await names("q=NAS+vid") == {"videos"}
    assert await names("host_id=none") == set()


async def test_hosts_and_repositories_are_found_by_state_and_text(home: Home) -> None:
    client = home.program()

    async def names(path: str) -> list[str]:
        return [item["name"] for item in (await client.get(f"/api/v1/{path}")).json()["items"]]

    assert await names("hosts?online=false") == ["laptop"]
    assert len(await names("hosts?online=true")) == 3
    assert await names("hosts?q=db") == ["db-1"]
    assert await names("repositories?state=down") == ["cloud"]
    assert await names("repositories?q=vault.example") == ["vault"]


async def test_runs_are_read_newest_first_page_by_page_with_their_logs(home: Home) -> None:
    source = home.fleet.sources[by_name(home, "etc")]
    other = home.fleet.sources[by_name(home, "mail")]
    ran = [a_run(source, NOW - timedelta(hours=hours)) for hours in range(1, 6)]
    failed = a_run(other, NOW - timedelta(hours=9), Outcome.FAILED)
    await home.keep((RunFinished(at=NOW, origin="agent:x", run=run) for run in [*ran, failed]), "what restic said\n")
    client = home.program()
    first = (await client.get("/api/v1/runs?limit=4")).json()
    second = (await client.get(f"/api/v1/runs?limit=4&cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in first["items"] + second["items"]] == [run.id for run in [*ran, failed]]
    assert second["next_cursor"] is None
    assert [item["id"] for item in first["running"]] == list(home.fleet.running)
    only = (await client.get(f"/api/v1/runs?source_id={other.id}")).json()
    assert [item["outcome"] for item in only["items"]] == ["failed"]
    assert only["running"] == []
    assert len((await client.get("/api/v1/runs?outcome=success")).json()["items"]) == 5
    one = (await client.get(f"/api/v1/runs/{failed.id}")).json()
    assert (one["run"]["reason"], one["log"]) == (failed.reason, "what restic said\n")


async def test_a_run_under_way_is_told_with_its_progress(home: Home) -> None:
    run_id, start = next(iter(home.fleet.running.items()))
    home.progress[run_id] = Progress(
        run_id=run_id,
        source_id=start.source_id or "",
        fraction=1.7,
        files_done=3,
        files_total=4,
        bytes_done=5,
        bytes_total=6,
        seconds_remaining=7.5,
    )
    client = home.program()
    run = (await client.get(f"/api/v1/runs/{run_id}")).json()["run"]
    source = (await client.get(f"/api/v1/sources/{start.source_id}")).json()
    assert run["status"] == "running"
    assert run["progress"] == source["progress"]
    assert run["progress"]["fraction"] == 1.0
    assert (source["running"], source["run_id"]) == (True, run_id)


async def test_alerts_are_told_open_and_past(home: Home) -> None:
    opened = next(iter(home.fleet.alerts.values()))
    past = replace(an_alert("backup_late"), id="01HZZZZZZZZZZZZZZZZZZZZZZZ", opened_at=NOW - timedelta(days=9))
    await home.keep(
        [
            AlertOpened(at=past.opened_at, origin="hub:rules", alert=past),
            AlertResolved(at=NOW, origin="hub:rules", alert_id=past.id, key=past.key, reason="it is good again"),
            AlertOpened(at=NOW, origin="hub:rules", alert=opened),
        ]
    )
    client = home.program()
    told = (await client.get("/api/v1/alerts")).json()["items"]
    assert {item["id"] for item in told} == {alert.id for alert in home.fleet.alerts.values()}
    assert all(item["resolved_at"] is None for item in told)
    page = (await client.get("/api/v1/alerts?limit=1")).json()
    rest = (await client.get(f"/api/v1/alerts?limit=1&cursor={page['next_cursor']}")).json()
    assert {item["id"] for item in page["items"] + rest["items"]} == {item["id"] for item in told}
    assert rest["next_cursor"] is None
    history = (await client.get("/api/v1/alerts?status=all")).json()["items"]
    assert [item["id"] for item in history] == [opened.id, past.id]
    assert history[1]["resolved_reason"] == "it is good again"
    assert [item["rule"] for item in (await client.get("/api/v1/alerts?rule=backup_missed")).json()["items"]] == [
        "backup_missed"
    ]


async def test_the_fleet_is_told_in_one_sentence_and_counts(home: Home) -> None:
    told = (await home.program().get("/api/v1/fleet")).json()
    assert told["state"] == "failed"
    assert told["sentence"].startswith("5 of 10 sources need attention: 1 failed")
    assert told["states"]["good"] == 3
    assert sum(told["states"].values()) == len(home.fleet.sources)
    assert (told["hosts"], told["hosts_offline"], told["running"]) == (4, 1, 1)
    assert told["open_alerts"] == {"critical": 1, "warning": 1}


@pytest.mark.parametrize("name", [AWKWARD, LONG, "\ud83d", "<script>alert(1)</script>"])
async def test_awkward_names_break_neither_page_nor_json(home: Home, name: str) -> None:
    source = home.fleet.sources[by_name(home, "etc")]
    host = home.fleet.hosts[source.host_id]
    home.fleet.sources[source.id] = replace(source, name=name, paths=(name,), excludes=(name,))
    home.fleet.hosts[host.id] = replace(host, name=name)
    put_repository(home.fleet, replace(a_repository("vault"), name=name, url=name))
    await home.keep([RunFinished(at=NOW, origin="agent:x", run=a_run(source, reason=name))], name)
    client = await home.signed_in()
    run_id = a_run(source).id
    for path in (
        "/",
        f"/sources/{source.id}",
        f"/hosts/{host.id}",
        "/hosts",
        "/repositories",
        "/runs",
        f"/runs/{run_id}",
    ):
        page = await client.get(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text
        assert "\x1b" not in page.text
        assert len(page.content) < 200_000
    for path in ("sources", f"sources/{source.id}", "hosts", "repositories", "runs", f"runs/{run_id}"):
        answer = await client.get(f"/api/v1/{path}")
        assert answer.status_code == 200
        answer.json()
    told = (await client.get(f"/api/v1/sources/{source.id}")).json()
    assert told["name"] == "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in name)


async def test_page_row_and_api_answer_and_view_say_the_same_state(home: Home) -> None:
    client = await home.signed_in()
    told = {item["id"]: item for item in (await client.get("/api/v1/sources")).json()["items"]}
    assert {State(item["state"]) for item in told.values()} == set(State)
    for source_id, state in home.fleet.judging.states.items():
        assert told[source_id]["state"] == state.value
        row = (await client.get(f"/?state={state.value}")).text.split(f'/sources/{source_id}"', 1)
        assert len(row) == 2, state
        assert f'<tbody class="is-{state.value}">' in row[0]
        page = (await client.get(f"/sources/{source_id}")).text
        assert f'<section class="verdict is-{state.value}">' in page


async def test_a_token_of_the_page_opens_the_api_for_its_browser(home: Home) -> None:
    client = await home.signed_in()
    token = form_token((await client.get("/")).text)
    answer = await client.post(
        "/api/v1/runs", json={"source_id": by_name(home, "etc")}, headers={"x-csrf-token": token}
    )
    assert answer.status_code == 202


def by_name(home: Home, name: str) -> str:
    return next(source.id for source in home.fleet.sources.values() if source.name == name)
