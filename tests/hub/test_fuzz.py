"""Frames that no agent should send: each is refused with a reason or means something, and none breaks anything."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from lastgood.agent import handshake
from lastgood.clock import now
from lastgood.config.settings import ServerSettings, Settings
from lastgood.errors import WireError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.hub.greeting import Refusal, decode
from lastgood.model.fact import HostEnrolled, RepositoryConfigured, SourceConfigured
from lastgood.service.service import Service
from lastgood.store.codec import decoder, encode
from lastgood.wire import frames
from lastgood.wire.frames import Assignment, Refuse, Report
from lastgood.wire.translate import translate
from tests.builders import NOW, a_repository, a_source, an_id
from tests.hub.mangled import TO_HUB, mangled
from tests.hub.pipe import piped
from tests.hub.rig import HOST, Caller, started

SEED = 20260314
VALID = tuple(frames.encode(frame) for frame in TO_HUB)
BY = {"at": NOW, "origin": "test"}
KNOWN = (
    HostEnrolled(**BY, host=HOST),
    RepositoryConfigured(**BY, repository=a_repository()),
    SourceConfigured(**BY, source=a_source(host=HOST)),
)


def read(count: int) -> tuple[int, int]:
    """How many of so many mangled frames were refused, and how many of the others could be learned."""
    fleet = Fleet()
    for fact in KNOWN:
        learn(fleet, fact)
    refused = learned = 0
    for data in itertools.islice(mangled(SEED, VALID), count):
        try:
            frame = decode(data)
        except Refusal as refusal:
            assert len(str(refusal)) > 20
            refused += 1
            continue
        if isinstance(frame, Report):
            learned += is_learned(fleet, frame)
    return refused, learned


def is_learned(fleet: Fleet, report: Report) -> bool:
    try:
        fact = translate(report.said, HOST.id, NOW)
        body = encode(fact)
    except (WireError, TypeError, ValueError, OverflowError):
        return False  # refused, or set aside by the log as what no database can hold
    try:
        learn(fleet, decoder(type(fact))(body))
    except (Unlearnable, msgspec.ValidationError):
        return False
    return True


def test_twenty_thousand_malformed_frames_are_refused_with_a_reason_or_understood() -> None:
    refused, learned = read(20_000)
    assert refused > 10_000
    assert learned > 100


@pytest.mark.slow
def test_a_million_malformed_frames_are_refused_with_a_reason_or_understood() -> None:
    refused, learned = read(1_000_000)
    assert refused > 500_000
    assert learned > 5_000


def test_an_agent_survives_whatever_calls_itself_a_hub() -> None:
    said = (
        frames.Challenge(protocol=1, oldest_protocol=1, hub_key="a2V5", nonce="bm9uY2U="),
        frames.Welcome(
            protocol=1, hub_version="1", signature="c2ln", acknowledged=3, heartbeat_seconds=30.0, sent_at=NOW
        ),
        frames.Refuse(reason="no", final=True, signature="c2ln"),
        frames.RunNow(run_id=an_id("run"), kind=frames.RunKind.BACKUP, source_id=an_id("source")),
        frames.CancelRun(run_id=an_id("run")),
        frames.Ack(sequence=3),
        frames.Ping(nonce="n"),
    )
    refused = 0
    for data in itertools.islice(mangled(SEED, tuple(map(frames.encode, said))), 20_000):
        try:
            handshake.decode(data)
        except WireError as error:
            assert "update the older of both" in str(error)
            refused += 1
    assert refused > 5_000


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = await Service.open(Settings(server=ServerSettings(data_dir=tmp_path)), now)
    await service.ingest.start()
    await service.take(KNOWN)
    yield service
    await service.stop()


async def tell(service: Service, count: int) -> int:
    """Mangled frames to real sessions, each behind a true greeting; answers how many refusals that brought."""
    data = mangled(SEED, VALID)
    left, refusals = count, 0
    while left > 0:
        async with piped(service.serve_agent) as caller:
            await caller.hello()
            await caller.next(Assignment)
            for said in itertools.islice(data, min(left, 4)):
                await caller.socket.send(said)
                left -= 1
            caller.socket.pipe.hang_up()  # type: ignore[attr-defined]
            reasons = await the_rest(caller)
        assert all(len(reason) > 20 for reason in reasons), reasons
        refusals += len(reasons)
    return refusals


async def the_rest(caller: Caller) -> list[str]:
    """The reasons with which the hub ended the connection; none if it had nothing against what it heard."""
    reasons = []
    try:
        while True:
            frame = frames.decode_to_agent(await caller.socket.recv())
            if isinstance(frame, Refuse):
                reasons.append(frame.reason)
    except ConnectionClosed:
        return reasons


async def talk(service: Service, count: int) -> None:
    with capture_logs() as logs:
        refusals = await tell(service, count)
    assert refusals > count // 10
    assert [entry for entry in logs if entry.get("exc_info") is not None] == [], "something broke inside"
    async with piped(service.serve_agent) as caller:
        await caller.hello(spool_id=an_id("another spool"))
        await caller.next(Assignment)
        await caller.send(Report(sequence=1, said=started(1)))
        assert (await caller.next(frames.Ack)).sequence == 1


async def test_real_sessions_survive_two_thousand_malformed_frames_and_serve_the_next(service: Service) -> None:
    await talk(service, 2_000)


@pytest.mark.slow
async def test_real_sessions_survive_fifty_thousand_malformed_frames_and_serve_the_next(service: Service) -> None:
    await talk(service, 50_000)
