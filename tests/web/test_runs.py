"""Runs as people and programs ask for them, look for them, and see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lastgood.hub.wishes import Wish
from lastgood.model.fact import RunFinished
from lastgood.model.job import Outcome, RunKind
from lastgood.model.retention import Retention
from lastgood.wire.frames import RestoreWish
from tests.builders import NOW, a_run, a_run_start
from tests.web.site import Home, form_token


async def test_every_kind_of_run_is_asked_for_with_what_it_needs(home: Home) -> None:
    client = home.program()
    source = next(iter(home.fleet.sources.values()))
    for body, wish in (
        ({"source_id": source.id}, Wish(kind=RunKind.BACKUP, source_id=source.id)),
        (
            {"kind": "check", "repository_id": source.repository_id, "check_subset": "1/5"},
            Wish(kind=RunKind.CHECK, repository_id=source.repository_id, check_subset="1/5"),
        ),
        (
            {"kind": "prune", "repository_id": source.repository_id, "host_id": source.host_id},
            Wish(kind=RunKind.PRUNE, repository_id=source.repository_id, host_id=source.host_id),
        ),
        (
            {"kind": "restore", "source_id": source.id, "restore": {"snapshot": "latest", "target": "/srv/r"}},
            Wish(
                kind=RunKind.RESTORE,
                source_id=source.id,
                restore=RestoreWish(snapshot="latest", target="/srv/r"),
            ),
        ),
    ):
        answer = await client.post("/api/v1/runs", json=body, headers={"idempotency-key": "again"})
        assert answer.status_code == 202, answer.text
        assert home.wished[-1][:2] == (wish, "script")
        assert (home.wished[-1][2] or "").startswith("key:"), "a request that is told again is recognised"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "source_id"),
        ({"source_id": "none"}, 404, None),
        ({"repository_id": "none"}, 404, None),
        ({"kind": "check", "host_id": "none"}, 404, None),
        ({"kind": "dance", "source_id": "SOURCE"}, 422, None),
        ({"kind": "check", "source_id": "SOURCE", "check_subset": "all of it"}, 422, "check_subset"),
        ({"kind": "restore", "source_id": "SOURCE", "restore": {"snapshot": "-x", "target": "/r"}}, 422, "restore"),
        (
            {"kind": "restore", "source_id": "SOURCE", "restore": {"snapshot": "latest", "target": "r"}},
            422,
            "restore",
        ),
    ],
)
async def test_a_run_that_cannot_be_is_refused_with_the_field(
    home: Home, body: dict[str, Any], status: int, field: str | None
) -> None:
    source_id = next(iter(home.fleet.sources))
    body = {key: source_id if value == "SOURCE" else value for key, value in body.items()}
    answer = await home.program().post("/api/v1/runs", json=body)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in answer.text
    assert home.wished == []


async def test_runs_are_listed_by_kind_status_and_repository_with_those_that_wait(home: Home) -> None:
    source = next(iter(home.fleet.sources.values()))
    done = replace(a_run(source, NOW - timedelta(hours=1)), id="01CHECK", kind=RunKind.CHECK, check_subset="1/5")
    failed = replace(a_run(source, NOW - timedelta(hours=2), Outcome.FAILED), id="01PRUNE", kind=RunKind.PRUNE)
    await home.keep([RunFinished(at=NOW, origin="test", run=run) for run in (done, failed)])
    waiting = replace(a_run_start(source, NOW), id="01WAIT", kind=RunKind.PRUNE)
    home.queued[waiting.id] = waiting
    client = home.program()

    async def listed(query: str) -> tuple[list[str], list[str]]:
        told = (await client.get(f"/api/v1/runs?{query}")).json()
        return [run["id"] for run in told["items"]], [run["id"] for run in told["running"]]

    assert await listed("kind=check") == (["01CHECK"], [])
    assert await listed("kind=prune") == (["01PRUNE"], ["01WAIT"])
    assert await listed("status=failed&kind=prune") == (["01PRUNE"], [])
    assert await listed("status=queued") == ([], ["01WAIT"])
    assert await listed(f"kind=check&repository_id={source.repository_id}") == (["01CHECK"], [])
    assert await listed("repository_id=another") == ([], [])
    run = (await client.get("/api/v1/runs/01WAIT")).json()["run"]
    assert (run["status"], run["outcome"]) == ("queued", None)
    assert (await client.get("/api/v1/runs/01CHECK")).json()["run"]["check_subset"] == "1/5"
    assert (await client.post("/api/v1/runs/01WAIT/cancel")).status_code == 202
    for query in ("kind=dance", "status=fine"):
        assert (await client.get(f"/api/v1/runs?{query}")).status_code == 422


async def test_the_buttons_of_a_repository_and_a_source_start_upkeep_and_lead_to_the_run(home: Home) -> None:
    client = await home.signed_in()
    source = next(iter(home.fleet.sources.values()))
    page = (await client.get(f"/repositories/{source.repository_id}")).text
    for label in ("Check", "Check, and read a tenth of the data", "Remove stale locks", "Prune"):
        assert f"<button>{label}</button>" in page
    token = form_token(page)
    said = {"csrf": token, "kind": "check", "repository_id": source.repository_id, "check_subset": "10%"}
    answer = await client.post("/runs", data=said)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/runs/")
    assert home.wished[-1][0] == Wish(kind=RunKind.CHECK, repository_id=source.repository_id, check_subset="10%")
    page = (await client.get(f"/sources/{source.id}")).text
    assert "<button disabled>Forget old snapshots</button>" in page
    assert "nothing is forgotten without a retention" in page
    home.fleet.sources[source.id] = replace(source, keep=Retention(daily=7))
    page = (await client.get(f"/sources/{source.id}")).text
    assert "<button>Forget old snapshots</button>" in page
    await client.post("/runs", data={"csrf": form_token(page), "kind": "forget", "source_id": source.id})
    assert home.wished[-1][0] == Wish(kind=RunKind.FORGET, source_id=source.id)
    assert (await client.post("/runs", data={"csrf": token, "source_id": source.id})).status_code == 422
    assert (await client.post("/runs", data={"kind": "check", "source_id": source.id})).status_code == 403
    home.refusal = "The agent of nas is not connected; see that it runs and ask again."
    assert "is not connected" in (await client.post("/runs", data=said)).text


async def test_a_run_that_waits_is_shown_as_waiting_and_can_be_cancelled(home: Home) -> None:
    waiting = replace(a_run_start(next(iter(home.fleet.sources.values())), NOW), id="01WAIT", kind=RunKind.PRUNE)
    home.queued[waiting.id] = waiting
    client = await home.signed_in()
    page = (await client.get("/runs/01WAIT")).text
    assert "Prune is waiting" in page
    await client.post("/runs/01WAIT/cancel", data={"csrf": form_token(page)})
    assert home.asked == [("cancel", "01WAIT", "ann")]
    assert "waiting</span>" in (await client.get("/runs")).text


async def test_the_page_of_runs_is_filtered_and_turned_within_its_filter(home: Home) -> None:
    source = next(iter(home.fleet.sources.values()))
    runs = [
        replace(a_run(source, NOW - timedelta(minutes=n)), id=f"01CHECK{n:03}", kind=RunKind.CHECK)
        for n in range(101)
    ]
    await home.keep([RunFinished(at=NOW, origin="test", run=run) for run in runs])
    client = await home.signed_in()
    page = (await client.get("/runs?kind=check&status=succeeded")).text
    assert page.count("/runs/01CHECK") == 100
    older = page.split('rel="next" href="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    assert "kind=check" in older
    assert (await client.get(older)).text.count("/runs/01CHECK") == 1
    assert "No run fits." in (await client.get("/runs?kind=restore")).text
    assert (await client.get("/runs?kind=dance")).status_code == 422


async def test_a_repository_tells_its_upkeep_and_its_damage_and_a_source_when_it_was_checked(home: Home) -> None:
    source = next(source for source in home.fleet.sources.values() if source.host_id)
    held = home.fleet.repository_evidence[source.repository_id]
    upkeep = ((RunKind.CHECK, NOW - timedelta(days=3)),)
    home.fleet.repository_evidence[source.repository_id] = replace(held, upkeep=upkeep, damaged_at=NOW)
    client = await home.signed_in()
    told = (await client.get(f"/api/v1/repositories/{source.repository_id}")).json()
    assert told["upkeep"] == {"check": "2026-03-11T12:00:00Z"}
    assert told["damaged_at"] == "2026-03-14T12:00:00Z"
    page = (await client.get(f"/repositories/{source.repository_id}")).text
    assert "A check found damage" in page
    good = [one for one in home.fleet.sources.values() if one.repository_id == source.repository_id]
    checked = [(await client.get(f"/api/v1/sources/{one.id}")).json() for one in good]
    assert {one["verified_at"] for one in checked if one["last_good_at"]} == {"2026-03-11T12:00:00Z"}
    assert {one["verified_at"] for one in checked if not one["last_good_at"]} <= {None}
    home.judge()
    first = next(one for one in checked if one["last_good_at"] and not one["paused_until"] and not one["archived"])
    assert (await client.get(f"/api/v1/sources/{first['id']}")).json()["state"] == "failed"
