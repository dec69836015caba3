"""Machines become hosts over real HTTP: by codes that work once, and by announcements that somebody approves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from lastgood.agent import enrol
from lastgood.agent.enrol import Place, WrongHub
from lastgood.auth.identity import KeyPair, fingerprint, mint_key_pair, sign
from lastgood.errors import AccessError, Unreachable
from lastgood.model.fact import HostRemoved
from lastgood.store import enrolment as rows
from lastgood.web.limits import Attempts
from lastgood.wire import enrolment as wire
from lastgood.wire.enrolment import Announced, Enrolled, Redeem, compose_code, read_code, text_of
from tests.builders import NOW, a_host
from tests.serving import serving
from tests.web.site import HUB_KEYS, Home, at_home, form_token


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Home]:
    async with at_home(tmp_path) as home:
        home.limits.enrolling = Attempts(1000, timedelta(minutes=5))
        yield home


async def code(hub: Home, **wish: str) -> dict[str, Any]:
    answer = await hub.program().post("/api/v1/enrol-codes", json=wish)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def redeemed(
    address: str, text: str, keys: KeyPair | None = None, name: str | None = None, hostname: str = "web-1"
) -> Enrolled:
    place = Place(hub_url=f"http://{address}")
    return await asyncio.to_thread(enrol.redeem, place, text, keys or mint_key_pair(), hostname=hostname, name=name)


async def announced(address: str, keys: KeyPair, hostname: str = "web-1", hub_key: bytes | None = None) -> Announced:
    place = Place(hub_url=f"http://{address}")
    return await asyncio.to_thread(enrol.announce, place, keys, hostname=hostname, name=None, hub_key=hub_key)


async def test_a_machine_with_a_code_is_a_host_with_the_key_it_made(hub: Home) -> None:
    keys = mint_key_pair()
    async with serving(hub.app) as address:
        made = await redeemed(address, (await code(hub))["code"], keys)
    host = hub.fleet.hosts[made.host_id]
    assert (host.name, host.key) == ("web-1", text_of(keys.public_key))
    assert made.hub_key == text_of(HUB_KEYS.public_key)


async def test_of_a_hundred_redemptions_at_once_exactly_one_succeeds(hub: Home) -> None:
    text = (await code(hub))["code"]
    async with serving(hub.app) as address:
        gate = asyncio.Event()
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client:

            async def one(number: int) -> int:
                body = signed(text, mint_key_pair(), f"host-{number}")
                await gate.wait()
                return (await client.post(wire.PATH, content=msgspec.json.encode(body))).status_code

            trying = [asyncio.create_task(one(number)) for number in range(100)]
            gate.set()
            answers = await asyncio.gather(*trying)
    assert sorted(answers) == [200] + [403] * 99
    assert len(hub.fleet.hosts) == 1


def signed(text: str, keys: KeyPair, hostname: str, name: str | None = None) -> Redeem:
    body = Redeem(
        code=text,
        key=text_of(keys.public_key),
        nonce=text_of(os.urandom(32)),
        signature="",
        hostname=hostname,
        name=name,
    )
    found = read_code(text)
    hub = found.hub if found is not None else HUB_KEYS.fingerprint
    signature = sign(keys.private_key, wire.REDEEM_CONTEXT, *body.parts(hub))
    return msgspec.structs.replace(body, signature=text_of(signature))


async def test_an_answer_lost_on_its_way_costs_nothing(hub: Home) -> None:
    keys, text = mint_key_pair(), (await code(hub))["code"]
    async with serving(hub.app) as address:
        first = await redeemed(address, text, keys)
        assert (await redeemed(address, text, keys)).host_id == first.host_id
        with pytest.raises(AccessError, match="not known here"):
            await redeemed(address, text, mint_key_pair())
    assert len(hub.fleet.hosts) == 1


async def test_a_taken_name_is_refused_in_any_case_and_leaves_the_code_as_it_was(hub: Home) -> None:
    async with serving(hub.app) as address:
        await redeemed(address, (await code(hub))["code"])
        text = (await code(hub))["code"]
        with pytest.raises(AccessError, match="WEB-1 is here already; choose another with --name"):
            await redeemed(address, text, hostname="WEB-1")
        assert (await redeemed(address, text, name="web-2")).name == "web-2"


async def test_two_codes_for_one_name_at_once_make_one_host_and_free_the_other_code(hub: Home) -> None:
    texts = [(await code(hub))["code"] for _ in range(8)]
    async with serving(hub.app) as address:
        answers = await asyncio.gather(*(redeemed(address, text) for text in texts), return_exceptions=True)
        won = [one for one in answers if isinstance(one, Enrolled)]
        assert len(won) == 1
        assert all(isinstance(one, Enrolled) or "is here already" in str(one) for one in answers)
        loser = next(text for text, one in zip(texts, answers, strict=True) if not isinstance(one, Enrolled))
        assert (await redeemed(address, loser, name="other")).name == "other"


async def test_a_name_that_no_host_should_have_is_refused(hub: Home) -> None:
    text = (await code(hub))["code"]
    for name in ("", " ", "-rf", "a\nb", "x" * 101, "zero\u200bwidth", "\u202eevil"):
        body = signed(text, mint_key_pair(), "web-1" if name else "", name or None)
        answer = await hub.client().post(wire.PATH, content=msgspec.json.encode(body))
        assert answer.status_code == 422, (name, answer.text)
    assert hub.fleet.hosts == {}


async def test_a_code_works_for_an_hour(hub: Home) -> None:
    text = (await code(hub))["code"]
    hub.turn(minutes=60)
    answer = await hub.client().post(wire.PATH, content=msgspec.json.encode(signed(text, mint_key_pair(), "late")))
    assert answer.status_code == 403
    assert "enrol-code create" in answer.json()["error"]["message"]


async def test_a_revoked_code_is_worth_nothing_and_a_used_one_cannot_be_revoked(hub: Home) -> None:
    revoked, used = await code(hub), await code(hub, name="db-1")
    program, stranger = hub.program(), hub.client()
    assert (await program.delete(f"/api/v1/enrol-codes/{revoked['id']}")).status_code == 204
    body = signed(revoked["code"], mint_key_pair(), "web-1")
    assert (await stranger.post(wire.PATH, content=msgspec.json.encode(body))).status_code == 403
    body = signed(used["code"], mint_key_pair(), "whatever")
    assert (await stranger.post(wire.PATH, content=msgspec.json.encode(body))).json()["name"] == "db-1"
    assert (await program.delete(f"/api/v1/enrol-codes/{used['id']}")).status_code == 404
    (item,) = (await program.get("/api/v1/enrol-codes")).json()["items"]
    assert (item["name"], item["used_at"] is not None) == ("db-1", True)


async def test_a_code_made_for_a_name_gives_no_other(hub: Home) -> None:
    text = (await code(hub, name="db-1"))["code"]
    body = signed(text, mint_key_pair(), "web-1", "mine")
    answer = await hub.client().post(wire.PATH, content=msgspec.json.encode(body))
    assert answer.status_code == 409
    assert "made for db-1" in answer.json()["error"]["message"]


async def test_a_code_of_another_hub_names_both(hub: Home) -> None:
    other = mint_key_pair()
    found = read_code((await code(hub))["code"])
    assert found is not None
    body = signed(compose_code(found.token, other.fingerprint), mint_key_pair(), "web-1")
    answer = await hub.client().post(wire.PATH, content=msgspec.json.encode(body))
    assert answer.status_code == 409
    assert other.fingerprint in answer.json()["error"]["message"]
    assert HUB_KEYS.fingerprint in answer.json()["error"]["message"]


async def test_a_new_agent_of_a_host_keeps_its_id_and_name(hub: Home) -> None:
    async with serving(hub.app) as address:
        old, old_code = mint_key_pair(), (await code(hub))["code"]
        first = await redeemed(address, old_code, old)
        keys, text = mint_key_pair(), (await code(hub, host_id=first.host_id))["code"]
        again = await redeemed(address, text, keys, hostname="elsewhere")
        assert (again.host_id, again.name) == (first.host_id, "web-1")
        assert hub.fleet.hosts[first.host_id].key == text_of(keys.public_key)
        newest, newer_text = mint_key_pair(), (await code(hub, host_id=first.host_id))["code"]
        await redeemed(address, newer_text, newest)
        for old_text, old_keys in ((text, keys), (old_code, old)):
            with pytest.raises(AccessError, match="Another agent was enrolled for web-1 since"):
                await redeemed(address, old_text, old_keys)
    assert hub.fleet.hosts[first.host_id].key == text_of(newest.public_key)


async def test_only_a_keyed_digest_of_a_code_is_stored(hub: Home, tmp_path: Path) -> None:
    found = read_code((await code(hub))["code"])
    assert found is not None
    await hub.database.write(lambda rows: rows.exec_driver_sql("SELECT 1"))
    for path in tmp_path.iterdir():
        if path.is_file():
            assert found.token.encode() not in path.read_bytes()
    assert found.token not in repr(found)


async def test_what_was_changed_on_the_way_is_refused(hub: Home) -> None:
    body = msgspec.to_builtins(signed((await code(hub))["code"], mint_key_pair(), "web-1", "web-1"))
    others = {"key": text_of(mint_key_pair().public_key), "code": (await code(hub))["code"]}
    for field in ("name", "hostname", "key", "nonce", "code"):
        answer = await hub.client().post(wire.PATH, json={**body, field: others.get(field, "changed")})
        assert answer.status_code == 403, (field, answer.text)
    assert hub.fleet.hosts == {}


async def in_between(hub: Home, change: Any) -> Any:
    """An application that hands requests on to the hub and changes its answers."""
    inner = hub.app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        transport = httpx.ASGITransport(inner)  # type: ignore[arg-type]
        message = await receive()
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.test") as client:
            answer = await client.post(scope["path"], content=message["body"])
        body = msgspec.json.encode(change(answer.json()))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


async def test_somebody_in_between_is_noticed(hub: Home) -> None:
    changes: tuple[dict[str, str], ...] = (
        {"hub_key": text_of(mint_key_pair(b"m" * 32).public_key)},
        {"host_id": "01J00000000000000000000000"},
        {"name": "other"},
        {"signature": ""},
    )
    for number, change in enumerate(changes):
        text = (await code(hub, name=f"web-{number}"))["code"]
        async with serving(await in_between(hub, lambda body, change=change: {**body, **change})) as address:
            with pytest.raises(WrongHub, match="find out who answers"):
                await redeemed(address, text)


async def test_something_else_at_the_address_is_one_sentence(hub: Home) -> None:
    text = (await code(hub))["code"]
    async with serving(await in_between(hub, lambda body: ["hello"])) as address:
        with pytest.raises(WrongHub, match="is no lastgood hub"):
            await redeemed(address, text)
    with pytest.raises(Unreachable, match=r"cannot be asked"):
        await redeemed("127.0.0.1:9", text)


async def test_an_address_may_try_so_often_and_whoever_succeeds_begins_anew(hub: Home) -> None:
    hub.limits.enrolling = Attempts(3, timedelta(minutes=5))
    stranger, good = hub.client(), signed((await code(hub))["code"], mint_key_pair(), "web-1")
    wrong = msgspec.structs.replace(good, code=compose_code("lg_enrol_" + "x" * 32, HUB_KEYS.fingerprint))

    async def tried(body: Redeem) -> httpx.Response:
        return await stranger.post(wire.PATH, content=msgspec.json.encode(body))

    assert [(await tried(wrong)).status_code for _ in range(2)] == [403, 403]
    assert (await tried(good)).status_code == 200
    assert [(await tried(wrong)).status_code for _ in range(4)] == [403, 403, 403, 429]
    refused = await tried(good)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


async def test_a_large_or_crooked_body_is_refused_before_it_is_read(hub: Home) -> None:
    stranger = hub.client()
    for path in (wire.PATH, wire.ANNOUNCE_PATH, wire.REKEY_PATH):
        assert (await stranger.post(path, content=b'{"code": "' + b"x" * 9000 + b'"}')).status_code == 413
        for body in (b"", b"{", b"[]", b"{}", b'{"key": 5}', b"\xff"):
            assert (await stranger.post(path, content=body)).status_code in (400, 422), (path, body)


# --- announcements -------------------------------------------------------------------------------------------------


async def test_a_machine_that_announces_itself_is_no_host_until_somebody_says_so(hub: Home) -> None:
    keys, program = mint_key_pair(), hub.program()
    async with serving(hub.app) as address:
        first = await announced(address, keys)
        assert first.state == "waiting"
        assert hub.fleet.hosts == {}
        assert (await program.get("/api/v1/hosts")).json()["total"] == 0
        (waiting,) = (await program.get("/api/v1/pending-hosts")).json()["items"]
        assert (waiting["name"], waiting["fingerprint"]) == ("web-1", keys.fingerprint)
        approval = {"fingerprint": keys.fingerprint}
        answer = await program.post(f"/api/v1/pending-hosts/{waiting['id']}/approve", json=approval)
        assert answer.status_code == 200, answer.text
        told = await announced(address, keys, hub_key=HUB_KEYS.public_key)
    assert (told.state, told.host_id) == ("approved", answer.json()["id"])
    assert hub.fleet.hosts[told.host_id].key == text_of(keys.public_key)
    assert (await program.get("/api/v1/pending-hosts")).json()["total"] == 0


async def test_an_approval_needs_the_fingerprint_of_that_very_machine(hub: Home) -> None:
    async with serving(hub.app) as address:
        pending = await announced(address, mint_key_pair())
        body = {"fingerprint": mint_key_pair().fingerprint}
        answer = await hub.program().post(f"/api/v1/pending-hosts/{pending.pending_id}/approve", json=body)
    assert answer.status_code == 409
    assert "fingerprint" in answer.json()["error"]["message"]
    assert hub.fleet.hosts == {}


async def test_a_rejected_machine_is_told_so_and_nobody_approves_it_any_more(hub: Home) -> None:
    keys, program = mint_key_pair(), hub.program()
    async with serving(hub.app) as address:
        pending = await announced(address, keys)
        path = f"/api/v1/pending-hosts/{pending.pending_id}"
        assert (await program.post(f"{path}/reject")).status_code == 200
        assert (await announced(address, keys)).state == "rejected"
        answer = await program.post(f"{path}/approve", json={"fingerprint": keys.fingerprint})
        assert answer.status_code == 404
    assert hub.fleet.hosts == {}


async def test_an_announcement_ends_after_a_day(hub: Home) -> None:
    keys = mint_key_pair()
    async with serving(hub.app) as address:
        first = await announced(address, keys)
        hub.turn(hours=24)
        assert (await hub.program().get("/api/v1/pending-hosts")).json()["total"] == 0
        assert (await announced(address, keys)).pending_id != first.pending_id


async def test_an_approval_interrupted_before_it_made_a_host_is_finished_when_the_machine_asks(hub: Home) -> None:
    keys = mint_key_pair()
    async with serving(hub.app) as address:
        pending = await announced(address, keys)
        decide = {"state": "approved", "host_id": a_host().id, "name": "web-1", "by": "ann", "now": hub.moment}
        assert await hub.database.write(lambda held: rows.decide(held, pending.pending_id, **decide))
        told = await announced(address, keys)
        assert (told.state, told.host_id) == ("approved", a_host().id)
        removed = HostRemoved(at=NOW, origin="test", host_id=told.host_id)
        await hub.take([removed], "removed")
        assert (await announced(address, keys)).state == "rejected"
    assert hub.fleet.hosts == {}


async def test_a_name_taken_meanwhile_leaves_the_machine_waiting(hub: Home) -> None:
    keys, program = mint_key_pair(), hub.program()
    async with serving(hub.app) as address:
        pending = await announced(address, keys, hostname="Web-1")
        await redeemed(address, (await code(hub))["code"])
        path = f"/api/v1/pending-hosts/{pending.pending_id}/approve"
        answer = await program.post(path, json={"fingerprint": keys.fingerprint})
        assert answer.status_code == 409
        assert "--name" in answer.json()["error"]["message"]
        answer = await program.post(path, json={"fingerprint": keys.fingerprint, "name": "web-2"})
    assert answer.json()["name"] == "web-2"


async def test_announcements_are_counted_an_address_and_capped(hub: Home) -> None:
    hub.limits.announcing = Attempts(4, timedelta(minutes=5))
    hub.enrolment.most_of_address = 3
    async with serving(hub.app) as address:
        keys = [mint_key_pair() for _ in range(5)]
        for one in keys[:3]:
            await announced(address, one)
        with pytest.raises(Unreachable, match="3 machines of this address wait"):
            await announced(address, keys[3])
        with pytest.raises(Unreachable, match="Too many attempts"):
            await announced(address, keys[4])
        assert (await announced(address, keys[0])).state == "waiting"


# --- pages ---------------------------------------------------------------------------------------------------------


async def test_a_person_makes_a_code_on_the_page_and_sees_it_once(hub: Home) -> None:
    person = await hub.signed_in()
    page = await person.get("/enrol")
    said = {"csrf": form_token(page.text), "name": "web-1"}
    made = await person.post("/enrol", data=said)
    assert made.status_code == 200
    assert "lastgood agent enrol http://" in made.text
    assert "lg_enrol_" in made.text
    assert made.headers["cache-control"] == "no-store"
    assert "lg_enrol_" not in (await person.get("/enrol")).text


async def test_a_person_approves_on_the_page_what_they_were_shown(hub: Home) -> None:
    keys, person = mint_key_pair(), await hub.signed_in()
    async with serving(hub.app) as address:
        pending = await announced(address, keys)
    shown = (await person.get("/hosts")).text
    assert fingerprint(keys.public_key).replace("+", "&#43;") in shown or keys.fingerprint in shown
    path, csrf = f"/enrol/pending/{pending.pending_id}/approve", form_token(shown)
    wrong = await person.post(path, data={"csrf": csrf, "fingerprint": "SHA256:other", "name": "web-1"})
    assert wrong.status_code == 409
    assert hub.fleet.hosts == {}
    right = await person.post(path, data={"csrf": csrf, "fingerprint": keys.fingerprint, "name": "web-9"})
    (host,) = hub.fleet.hosts.values()
    assert right.headers["location"] == f"/hosts/{host.id}"
    assert host.name == "web-9"
