"""What agents see of their engines, learned; and the states of containers and stacks that follow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lastgood.fleet import docker
from lastgood.fleet.docker import stacks_of
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.fleet.standing import stack_state
from lastgood.model import fact
from lastgood.model.docker import Container, ContainerState, Ending, EngineState, Health, StackState
from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, StackAction
from tests.builders import NOW, a_host, put_host
from tests.dock import a_bind, a_container, an_engine, an_inventory, listed, put_inventory

RUNNING, EXITED, PAUSED = ContainerState.RUNNING, ContainerState.EXITED, ContainerState.PAUSED
HOST = a_host()


def web(**told: Any) -> Container:
    return a_container("web", **told)


def db(**told: Any) -> Container:
    return a_container("db", **told)


def ended(code: int, ending: Ending | None = None, **told: Any) -> dict[str, Any]:
    return {"state": EXITED, "exit_code": code, "ending": ending, **told}


@pytest.mark.parametrize(
    ("containers", "state"),
    [
        ([web(), db()], StackState.RUNNING),
        ([web(state=PAUSED), db(state=PAUSED)], StackState.PAUSED),
        ([web(state=PAUSED), db()], StackState.RUNNING),
        ([web(**ended(0, Ending.ASKED)), db(**ended(0, Ending.ASKED))], StackState.STOPPED),
        ([web(), db(**ended(137, Ending.ASKED))], StackState.PARTIAL),
        ([web(), db(**ended(137, Ending.ENGINE))], StackState.PARTIAL),
        ([web(), db(**ended(0))], StackState.RUNNING),
        ([web(), db(**ended(0, restart_policy="on-failure"))], StackState.RUNNING),
        ([web(), db(**ended(0, restart_policy="always"))], StackState.PARTIAL),
        ([web(), db(state=ContainerState.CREATED)], StackState.PARTIAL),
        ([web(**ended(0)), db(**ended(0))], StackState.RUNNING),
        ([web(), db(**ended(1))], StackState.ERROR),
        ([web(), db(**ended(1, Ending.CRASHED))], StackState.ERROR),
        ([web(), db(**ended(1, Ending.ASKED))], StackState.PARTIAL),
        ([web(), db(**ended(137))], StackState.PARTIAL),
        ([web(), db(**ended(137, Ending.CRASHED))], StackState.ERROR),
        ([web(), db(**ended(137, oom_killed=True))], StackState.ERROR),
        ([web(), db(state=ContainerState.DEAD)], StackState.ERROR),
        ([web(), db(state=ContainerState.RESTARTING, exit_code=1)], StackState.ERROR),
        ([web(), db(crashes=3)], StackState.ERROR),
        ([web(), db(crashes=2)], StackState.RUNNING),
        ([web(), db(health=Health.UNHEALTHY)], StackState.ERROR),
        ([web(), db(health=Health.STARTING)], StackState.RUNNING),
        ([], StackState.STOPPED),
    ],
)
def test_the_first_rule_that_fits_says_the_state_of_a_stack(containers: list[Container], state: StackState) -> None:
    told, reason = stack_state(containers)
    assert told is state
    assert (reason is None) == (state not in (StackState.ERROR, StackState.PARTIAL))


def test_a_failed_deploy_is_an_error_and_a_service_that_is_not_there_makes_a_stack_partial() -> None:
    assert stack_state([web()], deploy_failed=True) == (StackState.ERROR, "Its last deploy failed.")
    assert stack_state([web()], expected=["web", "db"]) == (StackState.PARTIAL, "Not running: db.")


def a_fleet(**engine: Any) -> Fleet:
    fleet = Fleet()
    put_host(fleet, HOST)
    fleet.judging.tell_online(HOST.id, True)
    if engine.pop("listed", True):
        put_inventory(fleet, HOST, an_inventory(web(), db(), a_container("lone", project=None)), **engine)
    return fleet


def test_a_stack_is_what_has_one_project_and_the_same_project_elsewhere_is_another_one() -> None:
    fleet, other = a_fleet(), a_host("web-2")
    put_host(fleet, other)
    put_inventory(fleet, other, an_inventory(web(state=PAUSED)))
    fleet.judging.tell_online(other.id, True)
    assert [(one.key, one.state) for one in stacks_of(fleet, HOST.id)] == [((HOST.id, "shop"), StackState.RUNNING)]
    assert [(one.key, one.state) for one in stacks_of(fleet, other.id)] == [((other.id, "shop"), StackState.PAUSED)]


def test_stacks_of_a_host_that_cannot_be_asked_are_unknown_and_keep_their_containers() -> None:
    fleet = a_fleet()
    fleet.judging.tell_online(HOST.id, False)
    (stack,) = stacks_of(fleet.view(), HOST.id)
    assert (stack.state, len(stack.containers)) == (StackState.UNKNOWN, 2)
    fleet.judging.tell_online(HOST.id, True)
    silent = an_engine(state=EngineState.SILENT, message="It answers nothing.")
    learn(fleet, fact.EngineReported(at=NOW, origin="test", host_id=HOST.id, seen_at=NOW, engine=silent))
    (stack,) = stacks_of(fleet.view(), HOST.id)
    assert (stack.state, len(stack.containers)) == (StackState.UNKNOWN, 2)
    assert docker.trouble(fleet.docker[HOST.id].engine) == "It answers nothing."
    assert fleet.docker[HOST.id].listed_at == NOW


def test_a_stack_whose_first_deploy_failed_is_told_without_any_container() -> None:
    fleet = a_fleet()
    failed = Deploy(
        id="d",
        action=StackAction.DEPLOY,
        outcome=Outcome.FAILED,
        host_id=HOST.id,
        project="blog",
        started_at=NOW,
        ended_at=NOW,
        duration_seconds=1.0,
        touched=True,
    )
    learn(fleet, fact.DeployFinished(at=NOW, origin="test", deploy=failed))
    assert [(one.project, one.state) for one in stacks_of(fleet, HOST.id)] == [
        ("blog", StackState.ERROR),
        ("shop", StackState.RUNNING),
    ]


@pytest.mark.parametrize(
    ("engine", "degraded"),
    [
        ({}, False),
        ({"clock_offset_seconds": -60}, False),
        ({"clock_offset_seconds": 61}, True),
        ({"clock_offset_seconds": -3600}, True),
        ({"state": EngineState.SILENT}, True),
        ({"state": EngineState.DOWN}, True),
        ({"state": EngineState.REFUSED}, False),
        ({"state": EngineState.OFF, "clock_offset_seconds": None}, False),
    ],
)
def test_a_host_is_degraded_by_an_engine_that_answers_nothing_or_whose_clock_is_off(
    engine: dict[str, Any], degraded: bool
) -> None:
    assert (docker.trouble(an_engine(**engine)) is not None) is degraded


def test_a_survey_replaces_all_and_touches_this_host_alone() -> None:
    fleet = a_fleet()
    changes = learn(fleet, listed(HOST, an_inventory(db()), NOW + timedelta(minutes=1)))
    assert [one.name for one in fleet.docker[HOST.id].inventory.containers] == ["shop-db-1"]
    assert (changes.docker, changes.hosts, changes.sources) == ({HOST.id}, set(), set())


def test_a_host_that_wants_its_engine_looked_at_no_more_has_none() -> None:
    fleet = a_fleet()
    off = fact.EngineReported(
        at=NOW, origin="test", host_id=HOST.id, seen_at=NOW, engine=an_engine(state=EngineState.OFF)
    )
    assert learn(fleet, off).docker == {HOST.id}
    assert (fleet.docker, fleet.subjects_of_host) == ({}, {})
    assert learn(fleet, off).docker == set()


def test_a_removed_host_takes_its_engine_with_it() -> None:
    fleet = a_fleet()
    assert learn(fleet, fact.HostRemoved(at=NOW, origin="test", host_id=HOST.id)).docker == {HOST.id}
    assert (fleet.docker, fleet.subjects_of_host) == ({}, {})
    with pytest.raises(Unlearnable):
        learn(fleet, listed(HOST, an_inventory()))


def test_a_place_is_the_same_when_its_container_is_made_anew_and_a_new_one_after_a_week() -> None:
    def seen(at: timedelta, *binds: str) -> dict[str, Any]:
        learn(fleet, listed(HOST, an_inventory(web(mounts=tuple(map(a_bind, binds)))), NOW + at))
        return {one.subject: one.seen_at for one in fleet.docker[HOST.id].sightings}

    fleet, later = a_fleet(listed=False), timedelta(hours=1)
    assert seen(timedelta(0), "/old") == {"bind:/old": None}
    assert seen(later, "/old", "/new") == {"bind:/old": None, "bind:/new": NOW + later}
    seen(later * 2)
    assert seen(later * 3, "/old", "/new") == {"bind:/old": None, "bind:/new": NOW + later}
    seen(later * 4)
    assert seen(timedelta(days=8)) == {}
    assert seen(timedelta(days=9), "/old") == {"bind:/old": NOW + timedelta(days=9)}


def test_what_nobody_listed_cannot_be_excluded_and_exclusions_have_a_bound() -> None:
    fleet = a_fleet(listed=False)
    told: dict[str, Any] = {"at": NOW, "origin": "test", "host_id": HOST.id, "by": "ann"}
    with pytest.raises(Unlearnable):
        learn(fleet, fact.SubjectExcluded(**told, subject="bind:/x", reason="scratch"))
    put_inventory(fleet, HOST, an_inventory())
    for number in range(docker.MOST_EXCLUSIONS):
        learn(fleet, fact.SubjectExcluded(**told, subject=f"bind:/{number}", reason="scratch"))
    with pytest.raises(Unlearnable):
        learn(fleet, fact.SubjectExcluded(**told, subject="bind:/one/more", reason="scratch"))
    learn(fleet, fact.SubjectExcluded(**told, subject="bind:/7", reason=None))
    learn(fleet, fact.SubjectExcluded(**told, subject="bind:/one/more", reason="scratch"))
    assert len(fleet.docker[HOST.id].exclusions) == docker.MOST_EXCLUSIONS
