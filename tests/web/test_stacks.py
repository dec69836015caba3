"""Stacks for people and programs: what is asked of an agent, what is refused before, and who may see a text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from lastgood.agent.handshake import to_text
from lastgood.model.job import Outcome
from lastgood.model.stack import StackAction
from lastgood.wire.frames import CancelRun, DeployNow, DeployWords
from tests.builders import an_id
from tests.hub.rig import AGENT_KEYS, INFO, Caller, Rig, welcomed
from tests.waiting import until
from tests.web.site import Home, form_token
from tests.web.stacked import DEPLOY, ENV, TEXT, stacked


def host_of(home: Home) -> str:
    return next(iter(home.fleet.hosts))


def path(home: Home, more: str = "") -> str:
    return f"/api/v1/hosts/{host_of(home)}/stacks/shop{more}"


@asynccontextmanager
async def agent_of(home: Home) -> AsyncIterator[Caller]:
    """The agent of the home's first host, on a real connection."""
    host_id = host_of(home)
    host = replace(home.fleet.hosts[host_id], key=to_text(AGENT_KEYS.public_key))
    rig = Rig(hosts={host_id: host})
    rig.roster = home.roster
    able = replace(INFO, abilities=("stacks",))
    async with rig.serving(), welcomed(rig, host_id=host_id, info=able) as agent:
        yield agent
    home.roster.draining = False


async def test_a_program_has_a_stack_deployed_and_reads_its_lines_as_they_come(home: Home) -> None:
    client = home.program()
    async with agent_of(home) as agent:
        body = {"text": TEXT, "env": "A=new\n", "wait": False, "seconds": 60}
        answer = await client.post(path(home, "/deploy"), json=body, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 202
        deploy_id = answer.json()["deploy_id"]
        again = await client.post(path(home, "/deploy"), json=body, headers={"Idempotency-Key": "one"})
        assert again.json()["deploy_id"] == deploy_id
        frame = await agent.next(DeployNow)
        assert (frame.project, frame.text, frame.env, frame.text_number) == ("shop", TEXT, "A=new\n", 2)
        assert (frame.wait, frame.take_over, frame.seconds) == (False, False, 60.0)
        await agent.send(DeployWords(id=deploy_id, first=0, lines=("<b>Pulling</b>", "web")))

        async def heard() -> Any:
            told = (await client.get(path(home, f"/deploys/{deploy_id}"))).json()
            return told if told["lines"] else None

        told = await until(heard, "lines")
        assert (told["lines"], told["next"]) == (["<b>Pulling</b>", "web"], 2)
        assert (told["deploy"]["status"], told["deploy"]["outcome"]) == ("waiting", None)
        rest = (await client.get(path(home, f"/deploys/{deploy_id}"), params={"since": 1})).json()
        assert rest["lines"] == ["web"]
        shown = await (await home.signed_in()).get(f"/hosts/{host_of(home)}/stacks/shop/deploys/{deploy_id}")
        assert "&lt;b&gt;Pulling&lt;/b&gt;" in shown.text
        assert 'data-every="2000"' in shown.text
        assert (await client.post(path(home, f"/deploys/{deploy_id}/cancel"))).status_code == 202
        assert (await agent.next(CancelRun)).run_id == deploy_id


async def test_an_earlier_text_is_deployed_again_stopped_and_restarted(home: Home) -> None:
    client = home.program()
    async with agent_of(home) as agent:
        assert (await client.post(path(home, "/deploy"), json={"text_number": 1})).status_code == 202
        frame = await agent.next(DeployNow)
        assert (frame.text, frame.env, frame.text_number, frame.wait) == (TEXT, ENV, 1, True)
        for word in ("stop", "restart"):
            assert (await client.post(path(home, f"/{word}"))).status_code == 202
            frame = await agent.next(DeployNow)
            assert (frame.action.value, frame.text) == (word, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": TEXT, "text_number": 1}, "text"),
        ({"text": "services: {}"}, "text"),
        ({"text": "a: ["}, "text"),
        ({"text": TEXT, "env": "nonsense"}, "env"),
        ({"text_number": 1, "env": "A=b"}, "env"),
        ({"text_number": 0}, "text_number"),
        ({"text": TEXT, "seconds": 1}, "seconds"),
        ({"text": TEXT, "seconds": 1e9}, "seconds"),
        ({"text": TEXT, "shell": "rm"}, "shell"),
    ],
)
async def test_what_no_agent_could_bear_is_refused_with_its_field(home: Home, body: Any, field: str) -> None:
    answer = await home.program().post(path(home, "/deploy"), json=body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize("project", ["Shop", "-f", "a%20b", "..%2Fetc", "x" * 101])
async def test_a_name_that_compose_would_not_take_is_refused(home: Home, project: str) -> None:
    for word, body in (("deploy", {"text": TEXT}), ("stop", None), ("restart", None)):
        answer = await home.program().post(f"/api/v1/hosts/{host_of(home)}/stacks/{project}/{word}", json=body)
        assert answer.status_code in (404, 422), answer.text


async def test_of_a_stack_that_nobody_knows_nothing_is_stopped(home: Home) -> None:
    host_id = host_of(home)
    assert host_id in home.fleet.docker
    async with agent_of(home):
        for word in ("stop", "restart"):
            answer = await home.program().post(f"/api/v1/hosts/{host_id}/stacks/shpo/{word}")
            assert answer.status_code == 404
            assert "There is no stack 'shpo' on web-1" in answer.json()["error"]["message"]
            assert (await home.program().post(path(home, f"/{word}"))).status_code == 202
        assert (await home.program().delete(f"/api/v1/hosts/{host_id}/stacks/shpo")).status_code == 404
    browser = await home.signed_in()
    assert (await browser.get(f"/hosts/{host_id}/stacks/shpo")).status_code == 404
    assert (await browser.get(f"/hosts/{host_id}/stacks/shop")).status_code == 200


async def test_an_agent_that_is_away_is_named_and_nothing_is_kept(home: Home) -> None:
    client = home.program()
    for word, body in (("deploy", {"text": TEXT}), ("stop", None), ("restart", None)):
        answer = await client.post(path(home, f"/{word}"), json=body)
        assert answer.status_code == 409
        assert "is not connected" in answer.json()["error"]["message"]
    listed = (await client.get(path(home, "/deploys"))).json()
    assert [one["id"] for one in listed["items"]] == [DEPLOY]
    assert [one["number"] for one in (await client.get(path(home, "/texts"))).json()["items"]] == [1]


async def test_history_tells_who_when_and_how_it_went(home: Home) -> None:
    client = home.program()
    await stacked(home, "blog", log="no space", outcome=Outcome.FAILED, exit_code=1, reason="It did not come up.")
    (one,) = (await client.get(path(home, "/deploys"))).json()["items"]
    assert (one["action"], one["outcome"], one["status"], one["by"]) == ("deploy", "success", "ended", "ann")
    assert (one["text_number"], one["exit_code"], one["duration_seconds"]) == (1, 0, 12.0)
    assert (one["compose"], one["compose_version"]) == ("plugin", "2.26.1")
    told = (await client.get(path(home, f"/deploys/{DEPLOY}"))).json()
    assert (told["log"], told["lines"]) == ("Container shop-web-1  Started", [])
    foreign = await client.get(path(home, f"/deploys/{an_id('deploy', 'blog')}"))
    assert foreign.status_code == 404, "another stack's"
    names = [one["project"] for one in (await client.get(path(home).rpartition("/")[0])).json()["items"]]
    assert names == ["blog", "shop"]


async def test_a_text_is_shown_to_who_may_deploy_and_to_nobody_else(home: Home) -> None:
    page, text = f"/hosts/{host_of(home)}/stacks/shop", path(home, "/texts/1")
    for role, sees in (("admin", True), ("operator", True), ("viewer", False)):
        browser = await home.signed_in(role, role)
        shown = (await browser.get(page)).text
        assert ("correct-horse-of-env" in shown) is sees, role
        assert ("<textarea" in shown) is sees, role
        answer = await home.bearing(await home.token(role)).get(text)
        assert answer.status_code == (200 if sees else 403)
    reading = (await home.program().get(text)).json()
    assert reading == {"number": 1, "text": TEXT, "env": ENV}
    for number in (2, 10**18, 10**30):
        assert (await home.program().get(path(home, f"/texts/{number}"))).status_code == 404


async def test_the_stacks_of_all_hosts_are_one_list_by_state_and_word_page_by_page(home: Home) -> None:
    async def asked(**query: Any) -> Any:
        return (await home.program().get("/api/v1/stacks", params=query)).json()

    everything = await asked()
    of_host = (await home.program().get(f"/api/v1/hosts/{host_of(home)}/stacks")).json()["items"]
    assert [one for one in everything["items"] if one["host_id"] == host_of(home)] == of_host
    assert "shop" in {one["project"] for one in of_host}
    assert everything["total"] == len(everything["items"])
    pages, cursor = [], None
    while True:
        page = await asked(limit=1, **({"cursor": cursor} if cursor else {}))
        pages += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == everything["items"]
    assert (await asked(q="nothing of the kind"))["items"] == []
    states = {one["state"] for one in everything["items"]} - {None}
    for state in states:
        assert {one["state"] for one in (await asked(state=state))["items"]} == {state}
    assert (await home.program().get("/api/v1/stacks", params={"state": "sunny"})).status_code == 422


async def test_a_token_for_another_host_finds_no_stack_of_this_one(home: Home) -> None:
    hosts = list(home.fleet.hosts)
    client = home.bearing(await home.token("operator", hosts=[hosts[1]]))
    for more in ("", "/deploys", f"/deploys/{DEPLOY}", "/texts", "/texts/1"):
        assert (await client.get(path(home, more) if more else path(home).rpartition("/")[0])).status_code == 404
    assert (await client.post(path(home, "/deploy"), json={"text": TEXT})).status_code == 404


async def test_neither_the_audit_log_nor_a_refused_form_tells_more_than_it_should(home: Home) -> None:
    browser, client = await home.signed_in(), home.program()
    page = f"/hosts/{host_of(home)}/stacks"
    token = form_token((await browser.get(page)).text)
    said = {"csrf": token, "project": "Bad Name", "text": "services: {}", "env": "", "wait": "on"}
    refused = await browser.post(page, data=said)
    assert refused.status_code == 422
    assert "services: {}" in refused.text, "what was written is given back"
    await client.post(path(home, "/deploy"), json={"text": TEXT, "env": ENV})
    async with agent_of(home):
        answer = await client.post(path(home, "/deploy"), json={"text": TEXT, "env": ENV, "take_over": True})
        assert answer.status_code == 202
    rows = await home.database.read(
        lambda connection: [
            str(tuple(row))
            for row in connection.exec_driver_sql("SELECT * FROM audit_rows WHERE action LIKE 'stack.%'")
        ]
    )
    assert rows
    assert any(f"{host_of(home)}/shop" in row for row in rows)
    assert not [row for row in rows if "lg-test/web" in row or "correct-horse" in row]


async def test_people_deploy_stop_and_forget_by_the_buttons_of_the_page(home: Home) -> None:
    browser = await home.signed_in()
    page = f"/hosts/{host_of(home)}/stacks/shop"
    token = form_token((await browser.get(page)).text)
    async with agent_of(home) as agent:
        said = {"csrf": token, "text": TEXT.replace("\n", "\r\n"), "env": "", "wait": "on"}
        answer = await browser.post(f"{page}/deploy", data=said)
        assert answer.status_code in (302, 303), answer.text
        assert answer.headers["location"].startswith(f"{page}/deploys/")
        frame = await agent.next(DeployNow)
        assert (frame.text, frame.env, frame.wait) == (TEXT, None, True)
        await browser.post(f"{page}/deploy", data={"csrf": token, "text_number": "1"})
        assert (await agent.next(DeployNow)).env == ENV
        new = {"csrf": token, "project": "wiki", "text": TEXT, "env": ""}
        answer = await browser.post(f"/hosts/{host_of(home)}/stacks", data=new)
        assert "/stacks/wiki/deploys/" in answer.headers["location"]
        assert (await agent.next(DeployNow)).wait is False
        await browser.post(f"{page}/stop", data={"csrf": token})
        assert (await agent.next(DeployNow)).action is StackAction.STOP
    away = await browser.post(f"{page}/restart", data={"csrf": token})
    assert away.status_code == 409
    assert "is not connected" in away.text
    assert (await browser.post(f"{page}/forget", data={"csrf": token})).status_code in (302, 303)
    assert (await home.program().get(path(home, "/deploys"))).json()["items"] == []


async def test_a_text_that_no_longer_opens_is_told_on_its_page(home: Home) -> None:
    await home.database.write(
        lambda connection: connection.exec_driver_sql("UPDATE stack_texts SET sealed = x'00'").close()
    )
    shown = await (await home.signed_in()).get(f"/hosts/{host_of(home)}/stacks/shop")
    assert "unknown form" in shown.text
