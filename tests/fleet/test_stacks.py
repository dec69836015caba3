"""Deploys as a fleet learns them: what fails a stack, what is counted, and what goes with stack and host."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.fleet.stacks import MOST_DEPLOYING, MOST_STACKS, times_by_name
from lastgood.model import fact
from lastgood.model.job import Outcome
from lastgood.model.stack import DEPLOY_BOUNDS, Deploy, DeployStart, StackAction, is_project
from tests.builders import NOW, a_host

WEB, DB = a_host("web-1"), a_host("db-1")
TOLD: Any = {"at": NOW, "origin": "test"}
KEY = (WEB.id, "shop")


def a_fleet() -> Fleet:
    fleet = Fleet()
    for host in (WEB, DB):
        learn(fleet, fact.HostEnrolled(**TOLD, host=host))
    return fleet


def a_deploy(number: int = 1, **changes: Any) -> Deploy:
    ended_at = NOW + timedelta(minutes=number)
    deploy = Deploy(
        id=f"deploy-{number}",
        action=StackAction.DEPLOY,
        outcome=Outcome.SUCCESS,
        host_id=WEB.id,
        project="shop",
        started_at=ended_at,
        ended_at=ended_at,
        duration_seconds=2.0,
        touched=True,
    )
    return replace(deploy, **changes)


def a_start(deploy: Deploy) -> fact.DeployStarted:
    start = DeployStart(
        id=deploy.id,
        action=deploy.action,
        host_id=deploy.host_id,
        project=deploy.project,
        started_at=deploy.started_at,
    )
    return fact.DeployStarted(**TOLD, deploy=start)


def finish(fleet: Fleet, deploy: Deploy) -> None:
    learn(fleet, fact.DeployFinished(**TOLD, deploy=deploy))


FAILED = {"outcome": Outcome.FAILED}
STOP, RESTART = {"action": StackAction.STOP}, {"action": StackAction.RESTART}


@pytest.mark.parametrize(
    ("story", "failed"),
    [
        ([{}], False),
        ([FAILED], True),
        ([FAILED, {}], False),
        ([FAILED, RESTART], True),
        ([FAILED, STOP], False),
        ([FAILED, STOP | FAILED], True),
        ([{}, STOP | FAILED], False),
        ([{"outcome": Outcome.LOST}], True),
        ([{"outcome": Outcome.CANCELLED}], True),
        ([{}, FAILED | {"touched": False}], False),
        ([{}, FAILED | {"touched": False, "cause": "refused_by_policy"}], False),
    ],
)
def test_a_stack_has_failed_while_its_last_deploy_failed_and_nobody_deployed_or_stopped_it_since(
    story: list[dict[str, Any]], failed: bool
) -> None:
    fleet = a_fleet()
    for number, changes in enumerate(story, 1):
        finish(fleet, a_deploy(number, **changes))
    assert fleet.deploys[KEY].failed is failed


def test_an_end_that_comes_late_does_not_replace_a_newer_one() -> None:
    fleet = a_fleet()
    finish(fleet, a_deploy(2))
    finish(fleet, a_deploy(1, outcome=Outcome.FAILED))
    assert fleet.deploys[KEY].last == a_deploy(2)
    assert not fleet.deploys[KEY].failed
    assert (fleet.deploys[KEY].ok.count, fleet.deploys[KEY].error.count) == (1, 1)


def test_deploys_are_counted_by_result_and_what_never_was_one_is_not() -> None:
    fleet = a_fleet()
    changes: tuple[dict[str, Any], ...] = (
        {"duration_seconds": 0.005},
        {"duration_seconds": 0.0051},
        {"duration_seconds": 601.0},
        {"duration_seconds": -3.0},
        FAILED | {"duration_seconds": 1.0},
        FAILED | {"touched": False, "cause": "refused_text", "duration_seconds": 1.0},
        FAILED | {"touched": False, "cause": "refused_by_policy"},
        {"outcome": Outcome.CANCELLED},
        STOP,
    )
    for number, one in enumerate(changes):
        finish(fleet, a_deploy(number, **one))
    held = fleet.deploys[KEY]
    assert len(held.ok.buckets) == len(DEPLOY_BOUNDS) + 1
    assert (held.ok.buckets[0], held.ok.buckets[1], held.ok.buckets[-1]) == (2, 1, 1)
    assert held.ok.seconds == pytest.approx(601.0101)
    assert (held.error.count, held.error.seconds) == (2, 2.0)
    assert held.error.buckets[DEPLOY_BOUNDS.index(1)] == 2, "upper bounds are inclusive"


def test_a_deploy_held_for_lost_is_corrected_and_counted_once() -> None:
    fleet = a_fleet()
    finish(fleet, a_deploy(outcome=Outcome.LOST))
    finish(fleet, a_deploy())
    assert (fleet.deploys[KEY].failed, fleet.deploys[KEY].error.count, fleet.deploys[KEY].ok.count) == (False, 1, 0)
    with pytest.raises(Unlearnable, match="told before"):
        finish(fleet, a_deploy())


def test_times_of_one_name_on_two_hosts_are_one_histogram_and_go_with_their_stack() -> None:
    fleet = a_fleet()
    finish(fleet, a_deploy(1))
    finish(fleet, a_deploy(2, host_id=DB.id))
    finish(fleet, a_deploy(3, host_id=DB.id, project="blog"))
    assert times_by_name(fleet, "shop")[0].count == 2
    assert times_by_name(fleet.view(), "nothing")[0].count == 0
    changes = learn(fleet, fact.StackForgotten(**TOLD, host_id=WEB.id, project="shop"))
    assert changes.stacks == {KEY}
    assert times_by_name(fleet, "shop")[0].seconds == 2.0
    learn(fleet, fact.HostRemoved(**TOLD, host_id=DB.id))
    assert (fleet.deploys, fleet.deployed_on_host, fleet.deployed_hosts) == ({}, {}, {})


def test_a_host_works_at_one_deploy_of_a_stack_at_a_time_and_takes_it_along_when_it_goes() -> None:
    fleet = a_fleet()
    learn(fleet, a_start(a_deploy(1)))
    changes = learn(fleet, a_start(a_deploy(2)))
    assert changes.deploys == {"deploy-1", "deploy-2"}
    learn(fleet, a_start(a_deploy(3, project="blog")))
    assert set(fleet.deploying) == {"deploy-2", "deploy-3"}
    finish(fleet, a_deploy(2))
    assert set(fleet.deploying) == {"deploy-3"}
    changes = learn(fleet, fact.HostRemoved(**TOLD, host_id=WEB.id))
    assert fleet.deploying == {}
    assert "deploy-3" in changes.deploys


@pytest.mark.parametrize(
    "told",
    [
        a_start(a_deploy(1, host_id="nobody")),
        a_start(a_deploy(7, project="other")),
        fact.DeployFinished(**TOLD, deploy=a_deploy(7, host_id=DB.id)),
        fact.DeployFinished(**TOLD, deploy=a_deploy(1, host_id="nobody")),
        fact.DeployFinished(**TOLD, deploy=a_deploy(1, duration_seconds=float("nan"))),
        fact.StackForgotten(**TOLD, host_id="nobody", project="shop"),
        a_start(a_deploy(1, project="a\nb")),
        a_start(a_deploy(1, id="")),
        fact.DeployFinished(**TOLD, deploy=a_deploy(1, project="x" * 100_000)),
        fact.DeployFinished(**TOLD, deploy=a_deploy(1, id="x" * 100_000)),
    ],
)
def test_what_cannot_be_so_is_not_learned(told: fact.Fact) -> None:
    fleet = a_fleet()
    learn(fleet, a_start(a_deploy(7)))
    before = (dict(fleet.deploying), dict(fleet.deploys))
    with pytest.raises(Unlearnable):
        learn(fleet, told)
    assert (fleet.deploying, fleet.deploys) == before


def test_a_host_that_makes_up_names_is_not_remembered_without_end() -> None:
    fleet = a_fleet()
    for number in range(MOST_STACKS):
        finish(fleet, a_deploy(number, project=f"s{number}"))
    with pytest.raises(Unlearnable, match="more than"):
        finish(fleet, a_deploy(project="one-more"))


def test_a_host_that_begins_and_never_ends_is_not_remembered_without_end() -> None:
    fleet = a_fleet()
    for number in range(MOST_DEPLOYING):
        learn(fleet, a_start(a_deploy(number, project=f"s{number}")))
    with pytest.raises(Unlearnable, match="more than"):
        learn(fleet, a_start(a_deploy(MOST_DEPLOYING, project="one-more")))
    learn(fleet, a_start(a_deploy(0, project="s0")))
    learn(fleet, a_start(a_deploy(MOST_DEPLOYING, host_id=DB.id)))
    assert len(fleet.deploying) == MOST_DEPLOYING + 1


@pytest.mark.parametrize(
    ("name", "good"),
    [("shop", True), ("a", True), ("0-x_y", True), ("", False), ("Shop", False), ("-a", False), ("a" * 101, False)]
    + [(name, False) for name in ("a b", "a/b", "..", "a\n", "é")],
)
def test_a_project_is_named_as_compose_names_it(name: str, good: bool) -> None:
    assert is_project(name) is good
