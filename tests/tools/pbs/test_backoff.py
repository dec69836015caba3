"""Pauses after a refused token (trap 17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lastgood.tools.pbs.backoff import FIRST, LONGEST, Backoff

NOW = datetime(2025, 11, 20, 8, tzinfo=UTC)


def test_pauses_grow_and_end_at_an_hour() -> None:
    backoff, pauses = Backoff(), []
    for _ in range(200):
        backoff = backoff.refused(NOW)
        assert backoff.until is not None
        pauses.append(backoff.until - NOW)
    assert pauses[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST


def test_a_token_that_is_taken_ends_all_pauses() -> None:
    backoff = Backoff().refused(NOW).refused(NOW)
    assert backoff.holds(NOW)
    assert not backoff.accepted().holds(NOW)
    assert backoff.accepted().refused(NOW).until == NOW + FIRST


def test_a_pause_ends_at_its_moment() -> None:
    backoff = Backoff().refused(NOW)
    assert backoff.holds(NOW + FIRST - timedelta(seconds=1))
    assert not backoff.holds(NOW + FIRST)
    assert not Backoff().holds(NOW)
