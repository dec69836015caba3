"""What an agent cannot tell again is named by the hub that lacks it."""

from __future__ import annotations

from structlog.testing import capture_logs

from lastgood.clock import now
from lastgood.wire.frames import Ack, Heartbeat
from tests.hub.rig import Rig, welcomed

NAMED = "reports that this hub does not have"


async def gaps(*heartbeats: int) -> list[int]:
    """How many missing reports the hub names, of an agent whose hello named seven and told one."""
    rig = Rig()
    with capture_logs() as logs:
        async with rig.serving(), welcomed(rig, last_sequence=7) as caller:
            for last_sequence in heartbeats:
                await caller.send(Heartbeat(sent_at=now(), last_sequence=last_sequence))
            await caller.report(8)
            assert (await caller.next(Ack)).sequence == 8
    return [entry["missing"] for entry in logs if NAMED in entry["event"]]


async def test_reports_that_an_agent_has_no_more_are_named_once() -> None:
    assert await gaps(3, 3, 4) == [4]


async def test_an_agent_that_still_has_all_it_named_leaves_no_gap() -> None:
    assert await gaps(7, 7, 9) == []
