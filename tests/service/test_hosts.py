"""Hosts change while others speak for them: what was proved with a key that is over by then counts for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from lastgood.model.fact import Fact, HostEnrolled
from lastgood.service.hosts import Gone, Hosts
from tests.builders import NOW, a_host
from tests.web.site import at_home


async def test_a_key_that_was_offered_under_the_old_key_while_a_new_agent_is_enrolled_does_not_get_in(
    tmp_path: Path,
) -> None:
    async with at_home(tmp_path) as hub:
        host = a_host()
        await hub.take([HostEnrolled(at=NOW, origin="test", host=host)], "enrolled")
        slow, go = asyncio.Event(), asyncio.Event()

        async def take(facts: Sequence[Fact], request_id: str) -> None:
            slow.set()
            await go.wait()
            await hub.take(facts, request_id)

        hosts = Hosts(hub.fleet, take, lambda: NOW, hub.database, hub.roster)
        anew = asyncio.create_task(hosts.enrol_anew(host.id, "the new agent's", "ann", "code"))
        await asyncio.wait_for(slow.wait(), 10)
        offer = asyncio.create_task(hosts.offer_key(host.id, "a thief's", host.key))
        go.set()
        assert (await anew).key == "the new agent's"
        with pytest.raises(Gone, match="Another agent"):
            await offer
        assert hub.fleet.hosts[host.id].next_key is None
