"""Channels by API and page: an address goes in and never comes out, and nothing fails unseen."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

from lastgood.model.fact import AlertOpened
from tests.builders import NOW, a_source, an_alert
from tests.notify.receiver import receiving
from tests.web.site import Home, form_token

SOME = {"kind": "webhook", "url": "https://user:mombasa@hooks.example/a/b?key=zanzibar", "severity": "warning"}


async def test_a_channel_is_added_listed_changed_and_removed(home: Home) -> None:
    client = home.program()
    answer = await client.post("/api/v1/channels", json={"name": " ops ", **SOME})
    assert answer.status_code == 201
    made, secret = answer.json()["channel"], answer.json()["secret"]
    assert (made["name"], made["severity"], made["enabled"]) == ("ops", "warning", True)
    assert made["address"] == "https://hooks.example/…"
    assert secret.startswith("lg_hook_")
    (listed,) = (await client.get("/api/v1/channels")).json()["items"]
    assert listed == made
    path = f"/api/v1/channels/{made['id']}"
    until = (NOW + timedelta(hours=2)).isoformat()
    changed = await client.patch(path, json={"name": "Ops team", "severity": "critical", "paused_until": until})
    assert changed.json()["channel"] | {"paused_until": None} == made | {"name": "Ops team", "severity": "critical"}
    assert changed.json()["secret"] is None
    renewed = await client.patch(path, json={"new_secret": True, "paused_until": None})
    assert renewed.json()["channel"]["paused_until"] is None
    assert renewed.json()["secret"] not in (None, secret)
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 404
    assert (await client.get("/api/v1/channels")).json()["items"] == []


async def test_nothing_of_an_address_is_ever_told_again(home: Home) -> None:
    client, person = home.program(), await home.signed_in()
    for name, kind, url in (
        ("hook", "webhook", SOME["url"]),
        ("chat", "apprise", "gotify://zanzibar:mombasa@gotify.example/zanzibartoken"),
    ):
        answer = await client.post("/api/v1/channels", json={"name": name, "kind": kind, "url": url})
        assert answer.status_code == 201, answer.text
    for said in (
        (await client.get("/api/v1/channels")).text,
        (await client.get("/api/v1/notices")).text,
        (await person.get("/channels")).text,
    ):
        assert "zanzibar" not in said
        assert "mombasa" not in said
    assert "Gotify (gotify://…)" in (await client.get("/api/v1/channels")).text


async def test_what_cannot_be_a_channel_is_refused_with_a_sentence_that_tells_no_address(home: Home) -> None:
    client = home.program()
    refused = {
        ("webhook", "ftp://zanzibar.example/"): "like https://",
        ("webhook", "zanzibar"): "like https://",
        ("webhook", "http://[zanzibar/"): "like https://",
        ("apprise", "nonsense://zanzibar"): "cannot read",
        ("apprise", "syslog://"): "this machine alone",
        ("apprise", "slack://a/b/c/?template=/etc/zanzibar"): "read a file",
        ("apprise", ""): "no address",
    }
    for (kind, url), words in refused.items():
        answer = await client.post("/api/v1/channels", json={"name": "ops", "kind": kind, "url": url})
        assert answer.status_code == 422, (url, answer.text)
        assert words in answer.json()["error"]["message"], answer.text
        assert "zanzibar" not in answer.text
    for body in ({"name": "", **SOME}, {"name": "a\nb", **SOME}, {"name": "a", **SOME, "severity": "dire"}):
        assert (await client.post("/api/v1/channels", json=body)).status_code == 422
    assert (await client.post("/api/v1/channels", json={"name": "ops", **SOME})).status_code == 201
    twice = await client.post("/api/v1/channels", json={"name": "OPS", **SOME})
    assert (twice.status_code, twice.json()["error"]["field"]) == (409, "name")


async def test_a_test_answers_with_the_receipt_and_the_outbox_remembers_it(home: Home) -> None:
    client = home.program()
    async with receiving(200, 500) as receiver:
        body = {"name": "ops", "kind": "webhook", "url": receiver.url}
        made = (await client.post("/api/v1/channels", json=body)).json()["channel"]
        good = (await client.post(f"/api/v1/channels/{made['id']}/test")).json()
        bad = (await client.post(f"/api/v1/channels/{made['id']}/test")).json()
    assert (good["status"], good["receipt"], good["event"]) == ("delivered", "200 OK", "test")
    assert (bad["status"], bad["error"]) == ("given_up", "The receiver answered 500 Internal Server Error.")
    listed = (await client.get("/api/v1/notices", params={"limit": 1})).json()
    assert [one["id"] for one in listed["items"]] == [bad["id"]]
    following = (await client.get("/api/v1/notices", params={"cursor": listed["next_cursor"]})).json()
    assert [one["id"] for one in following["items"]] == [good["id"]]
    undelivered = (await client.get("/api/v1/notices", params={"status": "undelivered"})).json()["items"]
    assert [one["id"] for one in undelivered] == [bad["id"]]
    assert (await client.get("/api/v1/notices", params={"cursor": "x"})).status_code == 422


async def test_the_page_adds_tests_pauses_and_removes_and_shows_the_secret_once(home: Home) -> None:
    client = await home.signed_in()
    async with receiving() as receiver:
        page = (await client.get("/channels")).text
        said = {
            "csrf": form_token(page),
            "name": "ops <b>",
            "kind": "webhook",
            "url": receiver.url,
            "severity": "info",
        }
        answer = await client.post("/channels", data=said)
        assert answer.status_code == 200
        secret = re.search(r"lg_hook_[\w-]+", answer.text)
        assert secret is not None
        assert "ops &lt;b&gt;" in answer.text
        page = (await client.get("/channels")).text
        assert secret[0] not in page
        found = re.search(r"/channels/(\w+)/test", page)
        assert found is not None
        token = {"csrf": form_token(page)}
        tested = await client.post(f"/channels/{found[1]}/test", data=token)
        assert "The test reached" in tested.text
        assert "200 OK" in tested.text
    failed = await client.post(f"/channels/{found[1]}/test", data=token)
    assert "The test did not reach" in failed.text
    assert 'id="undelivered"' in failed.text
    for wish, shown in (("1d", "paused until"), ("resume", "Pause 1 day"), ("off", "Switch on"), ("critical", "off")):
        changed = await client.post(f"/channels/{found[1]}/set", data={**token, "wish": wish})
        assert changed.headers["location"] == "/channels"
        assert shown in (await client.get("/channels")).text, wish
    assert (await client.post(f"/channels/{found[1]}/set", data={**token, "wish": "x"})).status_code == 422
    await client.post(f"/channels/{found[1]}/remove", data=token)
    assert "Nobody is told yet" in (await client.get("/channels")).text


async def test_a_form_that_does_not_fit_is_shown_again_with_the_reason(home: Home) -> None:
    client = await home.signed_in()
    token = form_token((await client.get("/channels")).text)
    said = {"csrf": token, "name": "ops", "kind": "webhook", "url": "nowhere/zanzibar", "severity": "info"}
    answer = await client.post("/channels", data=said)
    assert answer.status_code == 422
    assert "The address of a webhook is like" in answer.text
    assert 'value="ops"' in answer.text
    assert "nowhere" not in answer.text


async def test_a_digest_that_gathers_is_listed_before_it_is_sent(home: Home) -> None:
    alert = an_alert(source=a_source())
    await home.keep([AlertOpened(at=NOW, origin="test", alert=alert)])
    client = home.program()
    await client.post("/api/v1/channels", json={"name": "ops", **SOME})
    (waiting,) = (await client.get("/api/v1/notices")).json()["items"]
    assert (waiting["event"], waiting["status"], waiting["title"]) == ("digest", "waiting", None)
    assert "Digest, still gathering" in (await (await home.signed_in()).get("/channels")).text


async def test_every_page_shows_how_many_notices_were_not_delivered(home: Home) -> None:
    await home.keep([AlertOpened(at=NOW, origin="test", alert=an_alert(source=a_source()))])
    client, outbox = await home.signed_in(), home.channels.outbox
    async with receiving(404) as receiver:
        await home.program().post("/api/v1/channels", json={"name": "ops", "kind": "webhook", "url": receiver.url})
        await outbox.look()
        await outbox.settled()
    assert "not delivered" not in (await client.get("/hosts")).text
    await outbox.look()
    assert 'title="Notices that were not delivered">1<' in (await client.get("/hosts")).text
    home.turn(hours=25)
    await outbox.look()
    client = await home.signed_in("bob")
    page = (await client.get("/hosts")).text
    assert "Channels" in page
    assert "not delivered" not in page  # but the list of channels still has it
    assert 'id="undelivered"' in (await client.get("/channels")).text


async def test_changes_at_once_undo_none_of_each_other(home: Home) -> None:
    client = home.program()
    made = (await client.post("/api/v1/channels", json={"name": "ops", **SOME})).json()["channel"]
    changes = ({"name": "team"}, {"severity": "critical"}, {"enabled": False}, {"url": "https://other.example/"})
    await asyncio.gather(*(client.patch(f"/api/v1/channels/{made['id']}", json=change) for change in changes))
    (held,) = (await client.get("/api/v1/channels")).json()["items"]
    assert (held["name"], held["severity"], held["enabled"], held["address"]) == (
        "team",
        "critical",
        False,
        "https://other.example",
    )
