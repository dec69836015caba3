"""Reports made into facts: what an agent says in excess of what agents say is cut before it is kept."""

from __future__ import annotations

from lastgood.model import fact
from lastgood.model.docker import MOST_CONTAINERS, MOST_VOLUMES
from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, StackAction
from lastgood.wire import frames
from lastgood.wire.translate import LONGEST_WORDS, translate
from tests.builders import NOW
from tests.dock import a_container, a_volume, an_engine, an_inventory


def test_of_an_inventory_beyond_all_bounds_the_rest_is_counted() -> None:
    containers = [a_container(f"c{number}") for number in range(MOST_CONTAINERS + 3)]
    volumes = tuple(a_volume(f"v{number}") for number in range(MOST_VOLUMES + 5))
    told = frames.Docker(listed_at=NOW, engine=an_engine(), inventory=an_inventory(*containers, volumes=volumes))
    learned = translate(told, "h", NOW)
    assert isinstance(learned, fact.InventoryListed)
    held = learned.inventory
    assert (len(held.containers), held.more_containers) == (MOST_CONTAINERS, 3)
    assert (len(held.volumes), held.more_volumes) == (MOST_VOLUMES, 5)


def test_the_words_of_a_deploy_are_no_longer_than_an_agent_writes_them() -> None:
    long = "x" * 100_000
    deploy = Deploy(
        id="d",
        action=StackAction.DEPLOY,
        outcome=Outcome.FAILED,
        host_id="another",
        project="shop",
        started_at=NOW,
        ended_at=NOW,
        duration_seconds=1.0,
        compose_version=long,
        cause=long,
        reason=long,
    )
    learned = translate(frames.DeployEnded(deploy=deploy), "h", NOW)
    assert isinstance(learned, fact.DeployFinished)
    assert learned.deploy.host_id == "h"
    kept = (learned.deploy.compose_version, learned.deploy.cause, learned.deploy.reason)
    assert [len(text or "") for text in kept] == [LONGEST_WORDS] * 3
