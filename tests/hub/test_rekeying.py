"""A host whose agent has offered a new key lets both in, until the new one was used."""

from __future__ import annotations

from dataclasses import replace

from lastgood.agent.handshake import to_text
from lastgood.auth.identity import mint_key_pair
from lastgood.wire import frames
from lastgood.wire.frames import Refuse, Welcome
from tests.hub.rig import AGENT_KEYS, HOST, Rig, calling

NEW = mint_key_pair(b"n" * 32)


def offered() -> Rig:
    return Rig(hosts={HOST.id: replace(HOST, next_key=to_text(NEW.public_key))})


async def test_the_old_key_lets_in_as_long_as_the_new_one_was_not_used() -> None:
    rig = offered()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello(keys=AGENT_KEYS)
        assert isinstance(await caller.next(), Welcome)
    assert rig.hosts[HOST.id].next_key is not None


async def test_the_new_key_lets_in_and_ends_the_old_one() -> None:
    rig = offered()
    async with rig.serving():
        async with calling(rig) as caller:
            await caller.hello(keys=NEW)
            assert isinstance(await caller.next(), Welcome)
        assert rig.hosts[HOST.id] == replace(HOST, key=to_text(NEW.public_key))
        async with calling(rig) as caller:
            await caller.hello(keys=AGENT_KEYS)
            (refuse,), _, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert refuse.final


async def test_the_new_keys_name_alone_without_its_signature_changes_nothing() -> None:
    rig = offered()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello(keys=NEW, signature=to_text(b"\0" * 64))
        (refuse,), _, _ = await caller.rest()
    assert isinstance(refuse, Refuse)
    assert rig.hosts[HOST.id].key == HOST.key


async def test_renewing_a_connection_sends_the_agent_back_at_once() -> None:
    rig = Rig()
    async with rig.serving(), calling(rig) as caller:
        await caller.hello()
        await caller.next(frames.Assignment)
        assert rig.roster.renew(HOST.id, "a new key")
        assert not rig.roster.renew("another", "a new key")
        _, code, reason = await caller.rest()
    assert (code, reason) == (1012, "a new key")
