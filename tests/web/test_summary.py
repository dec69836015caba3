from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.model.source import State
from lastgood.web.summary import ASIDE, fleet_reading, sentence
from tests.builders import NOW, a_fleet

HOURS = timedelta(hours=3)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "Nothing is protected yet."),
        ({State.PAUSED: 1}, "Every source is paused or archived."),
        ({State.GOOD: 7}, "Everything you run has a good backup. The oldest is 3 hours old."),
        ({State.GOOD: 1}, "What you run has a good backup, 3 hours old."),
        ({State.GOOD: 6, State.FAILED: 1}, "The last backup of 1 of 7 sources failed."),
        ({State.FAILED: 2}, "The last backup of all 2 sources failed."),
        ({State.GOOD: 5, State.NEVER: 2}, "2 of 7 sources have never had a good backup."),
        ({State.NEVER: 1}, "The only source has never had a good backup."),
        ({State.GOOD: 5, State.MISSED: 2}, "2 of 7 sources missed their backup."),
        ({State.GOOD: 1, State.MISSED: 1}, "1 of 2 sources missed its backup."),
        ({State.GOOD: 6, State.UNKNOWN: 1}, "lastgood cannot tell whether 1 of 7 sources has a good backup."),
        ({State.GOOD: 6, State.PARTIAL: 1}, "The last backup of 1 of 7 sources is incomplete."),
        ({State.GOOD: 6, State.LATE: 1}, "1 of 7 sources is late, and still within grace."),
        ({State.GOOD: 5, State.LATE: 1, State.NEW: 1}, "1 of 7 sources is late, and still within grace."),
        ({State.GOOD: 5, State.NEW: 2}, "2 of 7 sources wait for the first backup."),
        ({State.NEW: 1}, "The only source waits for the first backup."),
        (
            {State.GOOD: 4, State.FAILED: 1, State.MISSED: 2, State.ARCHIVED: 9},
            "3 of 7 sources need attention: 1 failed, 2 missed.",
        ),
        ({State.LATE: 3, State.UNKNOWN: 1}, "lastgood cannot tell whether 1 of 4 sources has a good backup."),
    ],
)
def test_the_worst_state_speaks(counts: dict[State, int], said: str) -> None:
    assert sentence(counts, NOW - HOURS, NOW) == said


@given(st.dictionaries(st.sampled_from(State), st.integers(0, 5)))
def test_everything_is_good_only_if_everything_is(counts: dict[State, int]) -> None:
    counted = {state for state, count in counts.items() if count and state not in ASIDE}
    said = sentence(counts, NOW - HOURS, NOW)
    assert said.startswith(("Everything you run has", "What you run has")) == (counted == {State.GOOD})


def test_the_oldest_good_backup_is_that_of_a_source_that_counts() -> None:
    fleet = a_fleet(3)
    for source_id in list(fleet.sources)[1:]:
        fleet.judging.states[source_id] = State.ARCHIVED
    told = fleet_reading(fleet.view(), NOW, "SHA256:abc")
    ids = list(fleet.sources)
    assert told.oldest_good_at == fleet.evidence[ids[0]].last_full.ended_at  # type: ignore[union-attr]
    assert told.sources == 1
    assert Counter(told.states)["archived"] == 2


def test_what_was_never_judged_is_unknown_and_not_good() -> None:
    fleet = a_fleet(2)
    fleet.judging.states.clear()
    told = fleet_reading(fleet.view(), NOW, "SHA256:abc")
    assert told.state is State.UNKNOWN
    assert told.states["good"] == 0


def test_a_blind_window_is_told_until_it_is_over() -> None:
    fleet = a_fleet(1)
    fleet.judging.blind_until = NOW + HOURS
    assert fleet_reading(fleet.view(), NOW, "").blind_until == NOW + HOURS
    assert fleet_reading(fleet.view(), NOW + HOURS, "").blind_until is None
