"""Runs whose agent lost its memory of them."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.fact import RunStarted
from lastgood.model.host import AgentInfo
from lastgood.model.job import Outcome, Status
from lastgood.service.orphans import orphans
from lastgood.wire.frames import Hello
from tests.builders import NOW, a_host, a_repository, a_run_start, a_source, put_host, put_repository, put_source

INFO = AgentInfo(agent_version="1", restic_version=None, os="linux", arch="amd64", protocol=1)


def a_hello(*running: str) -> Hello:
    return Hello(
        protocol=1,
        host_id=a_host().id,
        key="",
        nonce="",
        signature="",
        info=INFO,
        hostname="web-1",
        spool_id="x",
        last_sequence=0,
        sent_at=NOW,
        running=running,
    )


def a_running_fleet(*ago: timedelta) -> Fleet:
    fleet = Fleet()
    put_host(fleet, a_host())
    put_repository(fleet, a_repository())
    put_source(fleet, a_source())
    for span in ago:
        run = a_run_start(a_source(), started_at=NOW - span)
        learn(fleet, RunStarted(at=NOW, origin="test", run=run))
    return fleet


def test_a_run_that_its_agent_no_longer_knows_is_lost() -> None:
    fleet = a_running_fleet(timedelta(hours=1))
    lost = orphans(fleet, a_host().id, a_hello(), NOW, NOW)
    assert [fact.run.outcome for fact in lost] == [Outcome.LOST]
    for fact in lost:
        learn(fleet, fact)
    assert fleet.running == {}
    assert fleet.running_of_source == {}
    assert sum(fleet.durations.buckets[lost[0].run.kind, Status.FAILED]) == 1


def test_a_run_that_its_agent_still_has_goes_on() -> None:
    fleet = a_running_fleet(timedelta(hours=1))
    assert orphans(fleet, a_host().id, a_hello(*fleet.running), NOW, NOW) == []


def test_a_run_that_began_after_the_hello_goes_on() -> None:
    fleet = a_running_fleet(-timedelta(seconds=5))
    assert orphans(fleet, a_host().id, a_hello(), NOW, NOW + timedelta(minutes=1)) == []


def test_another_hosts_runs_are_left_alone() -> None:
    fleet = a_running_fleet(timedelta(hours=1))
    assert orphans(fleet, a_host("db-1").id, a_hello(), NOW, NOW) == []


def test_a_run_of_an_agent_whose_clock_is_ahead_was_called_lost_while_it_ran() -> None:
    """The hub takes no start for later than it heard of it, so a hello from "the future" came after every start."""
    fleet = a_running_fleet(-timedelta(seconds=5))
    ahead = msgspec.structs.replace(a_hello(), sent_at=NOW + timedelta(hours=1))
    assert orphans(fleet, a_host().id, ahead, NOW, NOW + timedelta(minutes=1)) == []
