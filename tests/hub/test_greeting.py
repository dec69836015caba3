"""Who gets in, and what those hear who do not."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lastgood.agent.handshake import Proof, to_text
from lastgood.auth.identity import mint_key_pair
from lastgood.hub.session import Limits
from lastgood.hub.socket import BROKEN, REFUSED, TOO_LARGE
from lastgood.wire import frames
from lastgood.wire.frames import Challenge, Heartbeat, Refuse, Welcome
from tests.builders import an_id
from tests.hub.rig import HOST, HUB_KEYS, INFO, Rig, calling


async def test_an_enrolled_agent_is_welcomed_with_its_mark_and_its_orders() -> None:
    rig = Rig(marks={an_id("spool"): 41})
    async with rig.serving(), calling(rig) as caller:
        await caller.hello()
        welcome = await caller.next()
        assert isinstance(welcome, Welcome)
        assert welcome.acknowledged == 41
        assert await caller.next() == rig.orders


async def test_a_host_that_nobody_enrolled_is_refused_for_good() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello(host_id=an_id("stranger"))
        (refuse,), code, reason = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert refuse.final
    assert "enrol" in refuse.reason
    assert code == REFUSED
    assert reason == refuse.reason[: len(reason)]


async def test_another_key_than_the_enrolled_one_is_refused_for_good() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello(keys=mint_key_pair(b"x" * 32))
        (refuse,), code, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert refuse.final
    assert "key" in refuse.reason
    assert code == REFUSED
    assert rig.changed == []


async def test_the_enrolled_key_without_its_signature_is_refused() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello(signature=to_text(b"\0" * 64))
        (refuse,), _, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert "signature" in refuse.reason


async def test_a_signature_for_another_host_does_not_serve() -> None:
    other = replace(HOST, id=an_id("other"), name="other")
    rig = Rig(hosts={HOST.id: HOST, other.id: other})
    async with rig.serving(), calling(rig) as caller:
        honest = await caller.hello()
        await caller.next(Welcome)
        async with calling(rig) as thief:
            await thief.hello(host_id=other.id, nonce=honest.nonce, signature=honest.signature)
            (refuse,), _, _ = await thief.rest()
    assert isinstance(refuse, Refuse)


async def test_a_refusal_is_signed_for_this_connection_and_these_words() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        hello = await caller.hello(keys=mint_key_pair(b"x" * 32))
        (refuse,), _, _ = await caller.rest()
    challenge = caller.challenge
    assert challenge is not None
    parts = frames.signed_parts(challenge.nonce, hello.nonce, challenge.hub_key, hello.key, hello.host_id)
    proof = Proof(HUB_KEYS.public_key, parts)
    assert isinstance(refuse, Refuse)
    assert proof.is_final(refuse)
    assert not proof.is_final(msgspec.structs.replace(refuse, reason="something else"))
    assert not Proof(HUB_KEYS.public_key, (*parts[:1], b"another nonce", *parts[2:])).is_final(refuse)


@pytest.mark.parametrize(("protocol", "word"), [(0, "too old"), (99, "too new")])
async def test_a_foreign_protocol_is_refused_with_what_to_update(protocol: int, word: str) -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello(protocol=protocol)
        (refuse,), _, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert refuse.final
    assert word in refuse.reason
    assert "update" in refuse.reason


async def test_an_old_hello_of_another_shape_still_hears_that_it_is_old() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.next(Challenge)
        await caller.socket.send('{"type":"hello","protocol":0,"name":"web-1"}')
        (refuse,), _, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert "too old" in refuse.reason
    assert not refuse.final, "nothing was signed, so nothing is final"


async def test_a_caller_that_says_nothing_is_sent_away() -> None:
    rig = Rig(limits=Limits(hello_seconds=0.05))
    async with rig.serving(), calling(rig) as caller:
        found, code, _ = await caller.rest()
    assert isinstance(found[-1], Refuse)
    assert code == REFUSED


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("{", BROKEN),
        ("[]", BROKEN),
        ('{"type":"nonsense"}', BROKEN),
        (b"\xff\xfe", BROKEN),
        ('{"type":"heartbeat","sent_at":"yesterday","last_sequence":1}', BROKEN),
        ("x" * (frames.FRAME_LIMIT + 1), TOO_LARGE),
        ("ä" * (frames.FRAME_LIMIT // 2 + 1), TOO_LARGE),
    ],
)
async def test_what_cannot_be_read_ends_the_connection_but_not_the_agent(data: str | bytes, code: int) -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello()
        await caller.next(Welcome)
        await caller.socket.send(data)
        found, closed_with, _ = await caller.rest()
    assert isinstance(found[-1], Refuse)
    assert not found[-1].final
    assert closed_with == code


async def test_anything_before_the_hello_is_refused() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.next(Challenge)
        await caller.send(Heartbeat(sent_at=HOST.enrolled_at, last_sequence=1))
        (refuse,), code, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert code == BROKEN


async def test_a_hello_that_names_no_spool_is_refused() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello(spool_id="x" * 1000)
        (refuse,), code, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert code == BROKEN


async def test_changed_words_of_an_agent_about_itself_are_told_and_known_ones_are_not() -> None:
    rig = Rig(hosts={HOST.id: replace(HOST, info=INFO)})
    async with rig.serving():
        async with calling(rig) as caller:
            await caller.hello()
            await caller.next(Welcome)
        newer = replace(INFO, restic_version="0.18.0")
        async with calling(rig) as caller:
            await caller.hello(info=newer)
            await caller.next(Welcome)
            await caller.send(Heartbeat(sent_at=HOST.enrolled_at, last_sequence=0))
            await caller.next(frames.Ping)
    assert rig.infos == [newer]
