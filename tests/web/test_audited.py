"""What every changing request leaves in the audit log, and that it is refused where nothing can be left."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from lastgood.model.audit import ACTIONS, ActorKind, Ending
from lastgood.model.fact import RunFinished
from lastgood.store import audit as rows
from lastgood.store.audit import Recorded, Wanted
from lastgood.web.audited import AUDITED, NOT_NAMED, SAYABLE, kept
from lastgood.web.session import SAFE_METHODS
from tests.builders import NOW, a_run, an_id
from tests.web.site import PASSWORD, Home, form_token, sign_in, welcome
from tests.web.test_routes import filled, routes

CANARY = "c4n4ry-secret"


async def recorded(home: Home, **wanted: Any) -> list[Recorded]:
    """Every action, oldest first."""
    found, _ = await home.database.read(lambda connection: rows.recorded(connection, Wanted(**wanted), limit=1000))
    return found[::-1]


async def all_text(home: Home) -> str:
    """Every letter of the log."""
    held = await home.database.read(lambda connection: rows.raw_rows(connection, limit=10_000))
    return "\n".join(str(row) for row in held)


async def refuse_rows(home: Home) -> None:
    """The audit log takes nothing more; all else of the database goes on."""
    trigger = "CREATE TRIGGER no_room BEFORE INSERT ON audit_rows BEGIN SELECT RAISE(ABORT, 'no room'); END"
    await home.database.write(lambda connection: connection.execute(text(trigger)) and None)


def test_every_changing_route_stands_in_the_table_and_the_table_has_no_other(home: Home) -> None:
    changing = {
        (method, re.sub(r"\{(\w+):\w+\}", r"{\1}", path))
        for method, path in routes(home)
        if method not in SAFE_METHODS and method != "WEBSOCKET"
    }
    assert changing - set(AUDITED) == set(), "add what these routes are called to web/audited.py"
    assert set(AUDITED) - changing == set()


def test_every_action_of_the_table_is_one_that_the_metric_may_have() -> None:
    named = {one.action for one in AUDITED.values()} | {NOT_NAMED.action}
    named |= {one.refused for one in AUDITED.values() if one.refused is not None}
    assert named <= set(ACTIONS)


async def test_a_change_begins_in_the_log_before_it_is_made_and_ends_there(home: Home) -> None:
    host_id = next(iter(home.fleet.hosts))
    before = home.fleet.hosts[host_id].name
    answer = await home.program().patch(f"/api/v1/hosts/{host_id}", json={"name": "renamed"})
    assert answer.status_code == 200
    held = await home.database.read(lambda connection: rows.raw_rows(connection))
    assert [(row["action"], row["outcome"], row["begun"]) for row in held] == [
        ("host.write", "begun", None),
        ("host.write", "done", held[0]["seq"]),
    ]
    (action,) = await recorded(home)
    assert (action.outcome, action.who.name, action.address) == (Ending.DONE, "script", "192.0.2.7")
    assert (action.target.kind, action.target.id, action.target.name) == ("host", host_id, before)
    assert action.details == {"given": {"name": "renamed"}, "status": 200}
    assert action.request_id


async def test_what_is_made_is_named_by_its_id_once_it_is_there(home: Home) -> None:
    answer = await home.program().post(
        "/api/v1/repositories", json={"name": "cellar", "url": "/srv/cellar", "password_file": "/etc/cellar"}
    )
    (action,) = await recorded(home)
    assert (action.action, action.target.id, action.target.name) == (
        "repository.create",
        answer.json()["id"],
        "cellar",
    )


async def test_tokens_and_users_are_called_by_their_names_also_once_they_are_gone(home: Home) -> None:
    client = home.program()
    made = (await client.post("/api/v1/tokens", json={"name": "prometheus", "role": "scraper"})).json()["token"]["id"]
    assert (await client.post(f"/api/v1/tokens/{made}/rotate", json={})).status_code == 200
    assert (await client.delete(f"/api/v1/tokens/{made}")).status_code == 204
    found = await recorded(home, target="prometheus")
    assert [one.action for one in found] == ["token.create", "token.rotate", "token.revoke"]
    assert {(one.target.id, one.target.name) for one in found} == {(made, "prometheus")}
    bob = (await client.post("/api/v1/users", json={"name": "bob", "role": "viewer"})).json()["user"]["id"]
    assert (await client.patch(f"/api/v1/users/{bob}", json={"role": "operator"})).status_code == 200
    assert (await client.post(f"/api/v1/users/{bob}/link")).status_code == 201
    assert (await client.delete(f"/api/v1/users/{bob}")).status_code == 204
    found = await recorded(home, target="bob")
    assert [one.action for one in found] == ["user.create", "user.write", "user.reset", "user.remove"]
    assert {(one.target.id, one.target.name) for one in found} == {(bob, "bob")}
    assert await recorded(home, target="alice") == []


async def test_a_run_is_called_by_its_kind_and_names_its_source(home: Home) -> None:
    source_id, source = next(iter(home.fleet.sources.items()))
    client = home.program()
    for kind in ("backup", "check"):
        body = {"kind": kind, "source_id": source_id}
        assert (await client.post("/api/v1/runs", json=body)).status_code == 202
    restore = {"kind": "restore", "source_id": source_id, "restore": {"snapshot": "latest", "target": "/srv/back"}}
    assert (await client.post("/api/v1/runs", json=restore)).status_code == 202
    found = await recorded(home)
    assert [one.action for one in found] == ["backup.run", "check.run", "restore.run"]
    assert {(one.target.kind, one.target.name) for one in found} == {("source", source.name)}
    assert all(one.details["run_id"] for one in found)
    assert found[2].details["given"]["restore.target"] == "/srv/back"


@pytest.mark.parametrize("hiding", ["behind blanks", "behind a long field", "behind many paths"])
async def test_nobody_hides_what_was_asked_behind_the_size_of_a_request(home: Home, hiding: str) -> None:
    source_id = next(iter(home.fleet.sources))
    restore = {"include": ["/" + "x" * 300] * 300, "snapshot": "latest", "target": "/srv/back"}
    if hiding != "behind many paths":
        restore["include"] = ["/" + "x" * 4_000] * 20 if hiding == "behind a long field" else []
    body = json.dumps({"kind": "restore", "source_id": source_id, "restore": restore}).encode()
    body += b" " * 70_000 if hiding == "behind blanks" else b""
    answer = await home.program().post("/api/v1/runs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 202, answer.text
    (found,) = await recorded(home)
    assert (found.action, found.target.id) == ("restore.run", source_id)
    assert found.details["given"]["restore.target"] == "/srv/back"


async def test_a_form_says_each_field_once_and_nothing_crowds_it_out_of_the_log(home: Home) -> None:
    browser = await home.signed_in()
    host_id = next(iter(home.fleet.hosts))
    token = form_token((await browser.get("/")).text)
    junk = "".join(f"{number}.name=x&" for number in range(200))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    twice = f"csrf={token}&name=one&name=another"
    assert (await browser.post(f"/hosts/{host_id}/rename", content=twice, headers=headers)).status_code == 400
    once = f"csrf={token}&{junk}name=renamed"
    assert (await browser.post(f"/hosts/{host_id}/rename", content=once, headers=headers)).status_code == 303
    assert home.fleet.hosts[host_id].name == "renamed"
    (refused, done) = await recorded(home)
    assert refused.outcome is Ending.REFUSED
    assert done.details["given"] == {"name": "renamed"}


async def test_what_is_refused_says_so(home: Home) -> None:
    client = home.program()
    await client.patch("/api/v1/hosts/none", json={"name": "x"})
    await client.post("/api/v1/runs", content=b"{", headers={"content-type": "application/json"})
    found = await recorded(home)
    assert [(one.action, one.outcome, one.details["status"]) for one in found] == [
        ("host.write", Ending.REFUSED, 404),
        ("backup.run", Ending.REFUSED, 400),
    ]


async def test_a_form_that_another_site_sent_is_told_as_refused(home: Home) -> None:
    client = await home.signed_in()
    source_id = next(iter(home.fleet.sources))
    answer = await client.post(f"/sources/{source_id}/run", headers={"origin": "http://evil.test"})
    assert answer.status_code == 403
    (action,) = await recorded(home)
    assert (action.action, action.outcome, action.who.name) == ("backup.run", Ending.REFUSED, "ann")
    assert action.ended_at is None, "it never began"


async def test_people_are_named_as_they_come_and_go(empty_home: Home) -> None:
    home = empty_home
    client = home.client()
    assert (await welcome(client, await home.link(), name="ann")).status_code == 303
    page = await client.get("/")
    await client.post("/sign-out", data={"csrf": form_token(page.text)})
    other = home.client()
    assert (await sign_in(other)).status_code == 303
    found = await recorded(home)
    assert [(one.action, one.outcome, one.who.kind, one.who.name) for one in found] == [
        ("auth.welcome", Ending.DONE, ActorKind.PERSON, "ann"),
        ("auth.sign_out", Ending.DONE, ActorKind.PERSON, "ann"),
        ("auth.sign_in", Ending.DONE, ActorKind.PERSON, "ann"),
    ]
    assert found[2].address == "192.0.2.7"


async def test_a_failed_sign_in_names_a_user_that_exists_and_no_other_word(home: Home) -> None:
    await home.signed_in("ann")
    client = home.client()
    await sign_in(client, "ann", CANARY)
    await sign_in(client, CANARY, "whatever")
    found = await recorded(home, action="auth.sign_in_failed")
    assert [(one.who.kind, one.target.name, one.outcome) for one in found] == [
        (ActorKind.STRANGER, "ann", Ending.REFUSED),
        (ActorKind.STRANGER, "", Ending.REFUSED),
    ]
    assert CANARY not in await all_text(home)


async def test_failures_without_end_leave_few_rows_and_say_how_many_more_there_were(home: Home) -> None:
    client = home.client()
    for _ in range(30):
        assert (await client.post("/api/v1/enrol", json={})).status_code == 422
        assert (await client.post("/api/v1/enrol/rekey", json={})).status_code == 422
    assert len(await recorded(home)) == 30, "by whatever door"
    home.turn(minutes=6)
    await client.post("/api/v1/enrol", json={})
    assert (await recorded(home))[-1].details == {"status": 422, "left_out_before": 30}


async def test_what_strangers_try_at_closed_doors_leaves_no_row(home: Home) -> None:
    await home.signed_in()
    client = home.client()
    for method, path in routes(home):
        if method in ("POST", "PUT", "PATCH", "DELETE") and (method, path) != ("POST", "/sign-in"):
            await client.request(method, filled(path, home), json={})
    left = {one.action for one in await recorded(home)}
    assert left <= {"auth.welcome", "host.enrol", "host.rekey"}, "only what is open to strangers"


async def test_without_a_log_nothing_is_changed_and_results_are_still_taken(home: Home) -> None:
    client, browser = home.program(), await home.signed_in()
    page = await browser.get("/")
    await refuse_rows(home)
    source_id, source = next(iter(home.fleet.sources.items()))
    host_id, host = next(iter(home.fleet.hosts.items()))
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/runs", {"source_id": source_id}),
        ("PATCH", f"/api/v1/hosts/{host_id}", {"name": "renamed"}),
        ("DELETE", f"/api/v1/hosts/{host_id}", None),
        ("POST", "/api/v1/recovery-kit", None),
    ]
    for method, path, body in asked:
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 503, (path, answer.text)
        assert answer.json()["error"]["message"].startswith("Nothing was changed, since it cannot be written")
        assert int(answer.headers["Retry-After"]) > 0
    pressed = await browser.post(f"/sources/{source_id}/run", data={"csrf": form_token(page.text)})
    assert pressed.status_code == 503
    assert home.asked == []
    assert home.fleet.hosts[host_id] == host
    evidence = home.fleet.evidence.get(source_id)
    run = a_run(source, NOW, id=an_id("run", 77), due_at=None)
    await home.take([RunFinished(at=NOW, origin=f"agent:{source.host_id}", run=run)], "told")
    assert home.fleet.evidence[source_id] != evidence
    assert (await browser.get("/")).status_code == 200
    assert home.audit.failures > len(asked)


async def test_secrets_of_requests_are_nowhere_in_the_log(home: Home) -> None:
    client, browser = home.program(), await home.signed_in()
    repository_id = next(iter(home.fleet.repositories))
    await client.put(
        f"/api/v1/repositories/{repository_id}/credentials/everyday",
        json={"password": CANARY, "environment": {"AWS_SECRET_ACCESS_KEY": CANARY, "name": CANARY}},
    )
    body = {"name": "offsite", "url": f"rest:https://u:{CANARY}@host/", "held": {"password": CANARY}}
    await client.post("/api/v1/repositories", json=body)
    await client.post("/api/v1/channels", json={"name": "hook", "kind": "webhook", "url": f"https://x/{CANARY}"})
    code = (await client.post("/api/v1/enrol-codes", json={})).json()["code"]
    token = (await browser.get("/")).text
    repository = {"csrf": form_token(token), "password": CANARY, "slot": "everyday", "environment": f"A={CANARY}"}
    await browser.post(f"/repositories/{repository_id}/credentials", data=repository)
    kit = (await client.post("/api/v1/recovery-kit")).json()["recovery_key"]
    link = await home.link()
    await welcome(home.client(), link, password=f"{CANARY} and longer")
    await sign_in(home.client(), "ann", PASSWORD)
    assert len(await recorded(home)) >= 7
    log = await all_text(home)
    for secret in (CANARY, code, kit, link, PASSWORD, form_token(token)):
        assert secret not in log


def test_values_are_kept_of_known_fields_alone_and_never_without_end() -> None:
    said = {
        "name": "x" * 10_000,
        "paths": ["/a"] * 500,
        "password": CANARY,
        "environment": {"name": CANARY},
        "schedule": {"cron": "0 2 * * *", "zone": "UTC", "password": CANARY},
        "csrf": CANARY,
        **{f"field_{number}": CANARY for number in range(500)},
    }
    shown = kept(said)
    assert CANARY not in str(shown)
    assert shown["given"]["schedule.cron"] == "0 2 * * *"
    assert len(str(shown)) < 20_000
    assert {"password", "environment", "schedule.password"} <= set(shown["also"])
    assert not SAYABLE & {"password", "url", "environment", "secret", "token", "code", "text", "compose"}


def test_the_page_of_documentation_names_every_action(refresh_golden: bool) -> None:
    page = Path(__file__).parents[2] / "docs/audit.md"
    grouped = groupby(ACTIONS, key=lambda action: action.partition(".")[0])
    rows = "".join(f"| {kind} | {', '.join(f'`{action}`' for action in those)} |\n" for kind, those in grouped)
    head = "| about | actions |\n| --- | --- |\n"
    before, written = page.read_text().split(head)
    if refresh_golden:
        page.write_text(before + head + rows)
    else:
        assert written == rows
