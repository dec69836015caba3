"""The quick start's plan: what is missing is told once, and nothing is told twice."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from lastgood.errors import ConfigError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import learn
from lastgood.model.job import Schedule
from lastgood.service.local import LocalPlan, Wish, plan
from tests.builders import NOW, an_id

NUMBERS = count()
WISH = Wish(
    host_name="web-1",
    agent_key="a2V5",
    repository="/data/repository",
    password_file=Path("/data/repository.password"),
    source=Path("/data/sample"),
    schedule=None,
    zone="Europe/Berlin",
)


def fulfil(fleet: Fleet, wish: Wish) -> LocalPlan:
    made = plan(fleet, wish, NOW, lambda: an_id("minted", next(NUMBERS)))
    for told in made.facts:
        learn(fleet, told)
    return made


def test_the_first_start_tells_host_repository_and_source() -> None:
    fleet = Fleet()
    made = fulfil(fleet, WISH)
    assert [type(told).__name__ for told in made.facts] == [
        "HostEnrolled",
        "RepositoryConfigured",
        "SourceConfigured",
    ]
    assert fleet.sources[made.source.id].schedule == Schedule(cron="0 2 * * *", zone="Europe/Berlin")


def test_the_second_start_tells_nothing() -> None:
    fleet = Fleet()
    first = fulfil(fleet, WISH)
    second = fulfil(fleet, WISH)
    assert second.facts == ()
    assert (second.host_id, second.repository_id, second.source) == (first.host_id, first.repository_id, first.source)


def test_a_start_that_was_cut_short_is_finished_by_the_next() -> None:
    for told in range(3):
        fleet = Fleet()
        made = plan(fleet, WISH, NOW, lambda: an_id("minted", next(NUMBERS)))
        for fact in made.facts[:told]:
            learn(fleet, fact)
        fulfil(fleet, WISH)
        assert (len(fleet.hosts), len(fleet.repositories), len(fleet.sources)) == (1, 1, 1)


def test_another_source_and_another_schedule_are_added_and_changed() -> None:
    fleet = Fleet()
    fulfil(fleet, WISH)
    fulfil(fleet, replace(WISH, source=Path("/srv")))
    hourly = Schedule(cron="0 * * * *", zone="UTC")
    made = fulfil(fleet, replace(WISH, schedule=hourly))
    assert len(fleet.sources) == 2
    assert fleet.sources[made.source.id].schedule == hourly


def test_another_repository_gets_a_name_of_its_own_and_the_same_folder_a_second_source() -> None:
    fleet = Fleet()
    fulfil(fleet, WISH)
    fulfil(fleet, replace(WISH, repository="/mnt/usb/restic", own=False))
    fulfil(fleet, replace(WISH, repository="sftp:nas:/restic", own=False))
    assert sorted(repository.name for repository in fleet.repositories.values()) == ["local", "restic", "restic 2"]
    assert len(fleet.sources) == 3


def test_a_new_password_file_is_told_to_the_agent() -> None:
    fleet = Fleet()
    elsewhere = replace(WISH, repository="/mnt/usb/restic", own=False)
    fulfil(fleet, elsewhere)
    made = fulfil(fleet, replace(elsewhere, password_file=Path("/root/usb.password")))
    assert fleet.repositories[made.repository_id].password_file == "/root/usb.password"


def test_an_agent_whose_folder_was_lost_stays_the_same_host() -> None:
    fleet = Fleet()
    first = fulfil(fleet, WISH)
    second = fulfil(fleet, replace(WISH, agent_key="bmV3"))
    assert (second.host_id, fleet.hosts[first.host_id].key) == (first.host_id, "bmV3")


def test_a_data_folder_that_was_moved_is_refused_with_the_mend() -> None:
    fleet = Fleet()
    fulfil(fleet, WISH)
    with pytest.raises(ConfigError, match="was the folder moved"):
        fulfil(fleet, replace(WISH, repository="/elsewhere/repository"))
