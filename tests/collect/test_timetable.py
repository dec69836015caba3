"""Probes on a timetable: each on its own, at once, again, when wanted, and less often while it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from structlog.testing import capture_logs

from lastgood.clock import now
from lastgood.collect.collector import Probe
from lastgood.collect.timetable import LONGEST_PAUSE, LONGEST_REFUSED, ProbeFacts, Timetable
from lastgood.errors import CollectError, Refused, StoreError, Unreachable
from lastgood.model.collected import CollectedRepository, Report
from tests.builders import NOW
from tests.waiting import until


def a_report(name: str = "store") -> CollectedRepository:
    return CollectedRepository(id=name, name=name, url=f"pbs://x/{name}", tool="pbs", observed_at=NOW)


class Server:
    """A collector whose probes answer what the test says."""

    def __init__(self, *names: str, seconds: float = 3600.0, deadline: float = 10.0) -> None:
        self.name = "pbs/box"
        self.picture = None
        self.faults: dict[str, BaseException] = {}
        self.hanging: set[str] = set()
        self.rounds = dict.fromkeys(names, 0)
        self.begun = self.ended = 0
        self.begins: list[Exception] = []
        self.probes = [self._probe(name, seconds, deadline) for name in names]

    def _probe(self, name: str, seconds: float, deadline: float) -> Probe:
        async def collect() -> AsyncIterator[Report]:
            self.rounds[name] += 1
            yield a_report(name)
            if name in self.hanging:
                await asyncio.Event().wait()
            if name in self.faults:
                raise self.faults[name]

        return Probe(
            name=name,
            interval=timedelta(seconds=seconds),
            deadline=timedelta(seconds=deadline),
            collect=collect,
        )

    def hear(self, heard: Callable[[], None]) -> None:
        raise AssertionError("a timetable has no business with pictures")

    async def begin(self) -> None:
        self.begun += 1
        if self.begins:
            raise self.begins.pop()

    async def end(self) -> None:
        self.ended += 1


class Told:
    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.refusing = False

    async def __call__(self, reports: Sequence[Report]) -> None:
        if self.refusing:
            raise StoreError("The disk is full.")
        self.reports += reports


@asynccontextmanager
async def running(server: Server, told: Told | None = None) -> AsyncIterator[Timetable]:
    timetable = Timetable(server, now, told or Told(), draw=lambda: 0.5)
    task = asyncio.create_task(timetable.run())
    try:
        yield timetable
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled(timetable: Timetable, name: str, rounds: int = 1) -> ProbeFacts:
    async def ask() -> ProbeFacts | None:
        facts = timetable.facts[name]
        return facts if facts.rounds >= rounds else None

    return await until(ask, f"{rounds} rounds of {name}")


async def test_every_probe_has_its_first_round_at_once_and_its_reports_are_told() -> None:
    server, told = Server("fast", "slow"), Told()
    async with running(server, told) as timetable:
        fast, slow = await settled(timetable, "fast"), await settled(timetable, "slow")
    assert sorted(one.id for one in told.reports) == ["fast", "slow"]  # type: ignore[union-attr]
    assert (fast.success, slow.success, fast.failures, fast.message) == (True, True, 0, None)
    assert fast.succeeded_at is not None
    assert fast.took_seconds is not None


async def test_rounds_follow_one_another() -> None:
    server = Server("fast", seconds=0.01)
    async with running(server) as timetable:
        await settled(timetable, "fast", 5)
    assert server.rounds["fast"] >= 5


async def test_a_probe_that_fails_keeps_no_other_from_its_rounds_and_says_why() -> None:
    server = Server("fast", "slow", seconds=0.01)
    server.faults["slow"] = Unreachable("It does not answer.")
    async with running(server) as timetable:
        slow = await settled(timetable, "slow", 2)
        await settled(timetable, "fast", slow.rounds + 3)
        facts = timetable.facts
    assert (facts["slow"].success, facts["slow"].message) == (False, "It does not answer.")
    assert facts["slow"].in_a_row == facts["slow"].failures >= 2
    assert facts["slow"].failing_since is not None
    assert facts["slow"].succeeded_at is None
    assert facts["fast"].failures == 0


async def test_one_reason_is_logged_once_for_all_probes_that_it_stops() -> None:
    server = Server("fast", "medium", "slow", "tapes")
    away = Unreachable("pbs cannot be connected to.")
    server.faults = {"fast": away, "medium": away, "slow": away, "tapes": Unreachable("Something else.")}
    with capture_logs() as lines:
        async with running(server) as timetable:
            for name in server.faults:
                await settled(timetable, name)
    said = [line["reason"] for line in lines if line["log_level"] == "warning"]
    assert sorted(said) == ["Something else.", "pbs cannot be connected to."]


async def test_a_probe_that_breaks_in_a_way_nobody_thought_of_costs_itself_alone() -> None:
    server = Server("fast", "odd", seconds=0.01)
    server.faults["odd"] = ZeroDivisionError("division by zero")
    async with running(server) as timetable:
        odd = await settled(timetable, "odd")
        await settled(timetable, "fast", 3)
    assert odd.success is False
    assert "ZeroDivisionError" in (odd.message or "")


async def test_a_round_that_hangs_is_broken_off_and_what_it_told_before_stays_told() -> None:
    server, told = Server("slow", deadline=0.05), Told()
    server.hanging.add("slow")
    async with running(server, told) as timetable:
        slow = await settled(timetable, "slow")
    assert "longer than 0.05 s" in (slow.message or "")
    assert len(told.reports) == 1


async def test_a_round_whose_reports_were_not_taken_has_failed() -> None:
    server, told = Server("fast", seconds=0.01), Told()
    told.refusing = True
    async with running(server, told) as timetable:
        assert (await settled(timetable, "fast")).message == "The disk is full."
        told.refusing = False

        async def well() -> bool:
            return timetable.facts["fast"].success is True

        await until(well, "a round that was taken")
        facts = timetable.facts["fast"]
    assert (facts.failing_since, facts.message, facts.in_a_row) == (None, None, 0)
    assert facts.failures >= 1


async def test_a_wanted_probe_does_not_wait_for_its_interval() -> None:
    server = Server("fast")
    async with running(server) as timetable:
        await settled(timetable, "fast")
        server.probes[0].wanted.set()
        await settled(timetable, "fast", 2)


async def test_a_wish_does_not_bring_a_failing_probe_forward() -> None:
    server = Server("fast", "witness", seconds=0.2)
    server.faults["fast"] = Refused("The token is wrong.", retry=False)
    async with running(server) as timetable:
        await settled(timetable, "fast")
        server.probes[0].wanted.set()
        await settled(timetable, "witness", 3)
        rounds = timetable.facts["fast"].rounds
    assert rounds <= 3


def pauses(error: CollectError, failures: int) -> list[float]:
    """What the timetable waits after each of so many failures of a probe of one minute."""
    server = Server("fast", seconds=60.0)
    timetable = Timetable(server, now, Told(), draw=lambda: 0.5)
    found = []
    for _ in range(failures):
        timetable._note(server.probes[0], error, NOW, 0.1)
        found.append(timetable._pause(server.probes[0], error))
    return found


def test_who_does_not_answer_is_asked_less_and_less_often_up_to_a_bound() -> None:
    waited = pauses(Unreachable("It does not answer."), 40)
    assert waited[:3] == [60.0, 120.0, 240.0]
    assert waited == sorted(waited)
    assert waited[-1] == LONGEST_PAUSE.total_seconds()


def test_who_says_no_for_good_is_asked_more_seldom_still() -> None:
    waited = pauses(Refused("The token is wrong.", retry=False), 40)
    assert waited[0] == 120.0
    assert waited[-1] == LONGEST_REFUSED.total_seconds()


def test_the_interval_is_never_shortened_by_failing() -> None:
    server = Server("rare", seconds=7200.0)
    timetable = Timetable(server, now, Told(), draw=lambda: 0.5)
    error = Unreachable("It does not answer.")
    timetable._note(server.probes[0], error, NOW, 0.1)
    assert timetable._pause(server.probes[0], error) == 7200.0


def test_failing_for_long_means_three_intervals() -> None:
    facts = ProbeFacts(interval=timedelta(minutes=1), failing_since=NOW)
    assert not facts.is_failing_long(NOW + timedelta(minutes=3))
    assert facts.is_failing_long(NOW + timedelta(minutes=3, seconds=1))
    assert not ProbeFacts(interval=timedelta(minutes=1)).is_failing_long(NOW)


async def test_a_collector_that_was_cancelled_is_ended_in_order() -> None:
    server = Server("fast", "slow")
    server.hanging.add("slow")
    async with running(server) as timetable:
        await settled(timetable, "fast")
    assert (server.begun, server.ended) == (1, 1)
