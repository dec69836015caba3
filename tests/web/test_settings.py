"""Tokens, users and roles as pages and by the API: told once, listed by the page, and nobody above themselves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from lastgood.auth.tokens import lookup_of
from lastgood.config.settings import MetricsSettings, Settings
from lastgood.store import accounts
from tests.web.site import Home, form_token, welcome

TOKEN = re.compile(r"lg_[0-9A-Za-z]{46}")


async def form(client: httpx.AsyncClient, page: str, action: str, **said: str) -> httpx.Response:
    csrf = form_token((await client.get(page)).text)
    return await client.post(action, data={"csrf": csrf, **said})


async def test_a_token_made_on_the_page_is_told_once_and_works(home: Home) -> None:
    client = await home.signed_in()
    said = {"name": "prometheus-scraper", "role": "scraper", "life": "90d", "hosts": ""}
    made = await form(client, "/settings/tokens/new", "/settings/tokens", **said)
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    (token,) = set(TOKEN.findall(made.text))
    found = home.tokens.find(token)
    assert found is not None
    assert (found.token.created_by, found.token.expires_at) == ("ann", home.moment + timedelta(days=90))
    assert "credentials_file" in made.text
    page = (await client.get("/settings/tokens")).text
    assert not TOKEN.search(page)
    assert "prometheus-scraper" in page
    answer = await form(client, "/settings/tokens", f"/settings/tokens/{found.token.id}/rotate", overlap="none")
    (rotated,) = set(TOKEN.findall(answer.text))
    assert [home.tokens.find(text) is not None for text in (token, rotated)] == [False, True]
    gone = await form(client, "/settings/tokens", f"/settings/tokens/{found.token.id}/revoke")
    assert gone.status_code == 303
    assert home.tokens.find(rotated) is None


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"name": "", "role": "scraper"}, "needs a name"),
        ({"name": "x", "role": "nobody"}, "There is no role"),
        ({"name": "x", "role": "viewer", "hosts": "nowhere"}, "There is no host"),
        ({"name": "x", "role": "scraper", "hosts": "{host}"}, "whole fleet"),
        ({"name": "x", "role": "viewer", "life": "2h"}, "lives for one of"),
        ({"name": "script", "role": "viewer"}, "already"),
        ({"name": "<b>x</b>", "role": "<script>"}, "There is no role"),
    ],
)
async def test_a_form_that_does_not_fit_is_given_back_with_the_fault(
    home: Home, said: dict[str, str], sentence: str
) -> None:
    client = await home.signed_in()
    name = next(iter(home.fleet.hosts.values())).name
    filled = {key: value.replace("{host}", name) for key, value in said.items()}
    answer = await form(client, "/settings/tokens/new", "/settings/tokens", **filled)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "<script>" not in answer.text
    assert "<b>x" not in answer.text
    assert len(home.tokens.every()) == 1


async def test_a_token_for_hosts_is_made_by_their_names_and_shown_with_them(home: Home) -> None:
    client = await home.signed_in()
    hosts = list(home.fleet.hosts.values())[:2]
    lines = "\r\n".join(host.name.upper() for host in hosts)
    said = {"name": "two", "role": "operator", "hosts": lines}
    made = await form(client, "/settings/tokens/new", "/settings/tokens", **said)
    found = home.tokens.find(TOKEN.findall(made.text)[0])
    assert found is not None
    assert set(found.token.hosts or ()) == {host.id for host in hosts}
    (listed,) = [one for one in (await client.get("/api/v1/tokens")).json()["items"] if one["name"] == "two"]
    assert {one["name"] for one in listed["hosts"]} == {host.name for host in hosts}


async def test_the_api_tells_a_token_s_text_in_the_answer_that_made_it_alone(home: Home) -> None:
    client = home.program()
    body = {"name": "ci", "role": "operator", "expires_at": (home.moment + timedelta(days=1)).isoformat()}
    made = (await client.post("/api/v1/tokens", json=body)).json()
    assert lookup_of(made["text"]) is not None
    assert made["token"]["begins"] == made["text"][:11]
    assert "backup.run" in made["token"]["permissions"]
    listed = await client.get("/api/v1/tokens", params={"limit": 1})
    assert (len(listed.json()["items"]), listed.json()["total"]) == (1, 2)
    rest = await client.get("/api/v1/tokens", params={"cursor": listed.json()["next_cursor"]})
    for answer in (listed, rest):
        assert not TOKEN.search(answer.text)
        assert "digest" not in answer.text
    there = f"/api/v1/tokens/{made['token']['id']}"
    rotated = (await client.post(there + "/rotate", json={"overlap_seconds": 60, "expires_at": None})).json()
    assert rotated["text"] != made["text"]
    assert rotated["token"]["expires_at"] is None
    assert (await client.delete(there)).status_code == 204
    assert (await client.delete(there)).status_code == 404
    assert (await client.post(there + "/rotate", json={})).status_code == 404


async def test_a_token_can_ask_what_it_may_do(home: Home) -> None:
    host_id = next(iter(home.fleet.hosts))
    client = home.bearing(await home.token("viewer", hosts=[host_id]))
    me = (await client.get("/api/v1/me")).json()
    assert (me["kind"], me["permissions"], me["hosts"]) == ("token", ["fleet.read", "metrics.read"], [host_id])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x", "role": "viewer", "hosts": ["nobody"]}, 422),
        ({"name": "x", "role": "viewer", "hosts": []}, 422),
        ({"name": "x", "role": "viewer", "expires_at": "2030-01-01T00:00:00"}, 422),
        ({"name": "x", "role": "viewer", "expires_at": "2001-01-01T00:00:00Z"}, 422),
        ({"name": "x", "role": "viewer", "expires_at": "9999-12-31T23:59:59-12:00"}, 422),
        ({"name": "x", "role": "viewer", "text": "lg_mine"}, 422),
        ({"name": "x" * 301, "role": "viewer"}, 422),
        ({"name": "script", "role": "viewer"}, 409),
    ],
)
async def test_a_token_that_cannot_be_is_refused(home: Home, body: dict[str, Any], status: int) -> None:
    answer = await home.program().post("/api/v1/tokens", json=body)
    assert answer.status_code == status, answer.text
    assert len(home.tokens.every()) == 1


async def test_somebody_new_signs_in_by_their_link_and_may_what_their_role_says(home: Home) -> None:
    admin = await home.signed_in()
    made = await form(admin, "/settings/users", "/settings/users", name="bob", role="viewer")
    link = re.search(r'value="http[^"]*/welcome/(lg_link_[^"]+)"', made.text)
    assert link is not None
    bob = home.client()
    assert (await welcome(bob, link[1], "bob")).status_code == 303
    assert (await bob.get("/hosts")).status_code == 200
    assert (await bob.get("/settings/tokens")).status_code == 403
    assert (await bob.get("/settings")).status_code == 200
    settings = (await bob.get("/settings")).text
    assert "/settings/tokens" not in settings
    assert "The metrics are public" not in settings
    user = await home.database.read(lambda rows: accounts.find_user(rows, "bob"))
    assert user is not None
    assert user.role == "viewer"
    gone = await form(admin, "/settings/users", f"/settings/users/{user.id}/remove")
    assert gone.status_code == 303
    assert (await bob.get("/hosts")).status_code == 303
    assert (await bob.get("/hosts")).headers["location"].startswith("/sign-in")


async def test_a_link_of_somebody_removed_makes_nobody(home: Home) -> None:
    made = await home.program().post("/api/v1/users", json={"name": "bob", "role": "viewer"})
    user, link = made.json()["user"], made.json()["link"]
    other = await home.link("nobody ever made this user")
    await home.program().delete(f"/api/v1/users/{user['id']}")
    stranger = home.client()
    assert (await stranger.get("/welcome/" + link.rpartition("/")[2])).status_code == 404
    assert (await welcome(stranger, other, "eve")).status_code == 404
    assert await home.database.read(accounts.count_users) == 0


async def test_whoever_manages_users_gives_nobody_more_than_they_have(home: Home) -> None:
    keeper = {"permissions": ["user.manage", "fleet.read"]}
    assert (await home.program().put("/api/v1/roles/keeper", json=keeper)).status_code == 200
    admin = (await home.program().post("/api/v1/users", json={"name": "ada", "role": "admin"})).json()["user"]
    client = home.bearing(await home.token("keeper"))
    script = next(one.id for one in home.tokens.every() if one.name == "script")
    for method, path, body in (
        ("POST", "/api/v1/tokens", {"name": "mine", "role": "admin"}),
        ("POST", f"/api/v1/tokens/{script}/rotate", {}),
        ("POST", "/api/v1/users", {"name": "eve", "role": "operator"}),
        ("PATCH", f"/api/v1/users/{admin['id']}", {"role": "keeper"}),
        ("POST", f"/api/v1/users/{admin['id']}/link", {}),
        ("DELETE", f"/api/v1/users/{admin['id']}", None),
        ("PUT", "/api/v1/roles/mine", {"permissions": ["hub.backup"]}),
    ):
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 403, (method, path, answer.text)
        assert "goes beyond" in answer.text
    assert (await client.post("/api/v1/tokens", json={"name": "mine", "role": "keeper"})).status_code == 201


async def test_a_role_is_put_together_and_taken_away_on_its_page(home: Home) -> None:
    client = await home.signed_in()
    made = await form(client, "/settings/roles", "/settings/roles", name="night-shift", **{"backup.run": "on"})
    assert made.status_code == 303
    assert home.roles.permissions("night-shift") == {"backup.run"}
    refused = await form(client, "/settings/roles", "/settings/roles", name="Night Shift", **{"backup.run": "on"})
    assert refused.status_code == 422
    assert "no name for a role" in refused.text
    listed = (await client.get("/api/v1/roles")).json()
    assert [role["name"] for role in listed["items"]] == ["admin", "operator", "viewer", "scraper", "night-shift"]
    assert "backup.restore" in listed["permissions"]
    gone = await form(client, "/settings/roles", "/settings/roles/night-shift/remove")
    assert gone.status_code == 303
    assert (await client.get("/api/v1/roles")).json()["total"] == 4


async def test_the_settings_page_warns_of_public_metrics(home: Home) -> None:
    home.site = replace(home.site, settings=Settings(metrics=MetricsSettings(auth=False)))
    client = await home.signed_in()
    assert "The metrics are public" in (await client.get("/settings")).text
