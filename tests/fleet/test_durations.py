"""The histograms of run durations: every label set from the start, bounds inclusive."""

from __future__ import annotations

from itertools import product

import pytest

from lastgood.fleet.durations import BOUNDS, LABELS, Durations
from lastgood.model.job import RunKind, Status

KEY = (RunKind.BACKUP, Status.SUCCEEDED)


def test_all_27_label_sets_exist_from_the_start_with_zero_everywhere() -> None:
    durations = Durations()
    ended = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)
    assert len(LABELS) == 27
    assert set(durations.buckets) == set(durations.sums) == set(product(RunKind, ended))
    assert all(counts == [0] * 10 for counts in durations.buckets.values())
    assert set(durations.sums.values()) == {0.0}


@pytest.mark.parametrize("index", range(len(BOUNDS)))
def test_a_bound_belongs_to_its_bucket_and_what_is_above_to_the_next(index: int) -> None:
    durations = Durations()
    durations.observe(*KEY, BOUNDS[index])
    durations.observe(*KEY, BOUNDS[index] + 0.001)
    assert [i for i, count in enumerate(durations.buckets[KEY]) if count] == [index, index + 1]
    assert sum(durations.buckets[KEY]) == 2


def test_a_clock_set_back_counts_as_zero_seconds() -> None:
    durations = Durations()
    durations.observe(*KEY, -5.0)
    assert durations.buckets[KEY][0] == 1
    assert durations.sums[KEY] == 0.0


def test_a_copy_goes_its_own_way() -> None:
    durations = Durations()
    durations.observe(*KEY, 2.0)
    twin = durations.copy()
    assert twin == durations
    durations.observe(*KEY, 2.0)
    assert twin != durations
    assert twin.sums[KEY] == 2.0
    assert durations != "durations"
