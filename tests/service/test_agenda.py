"""The agenda of moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lastgood.service.agenda import Agenda

T0 = datetime(2026, 3, 14, tzinfo=UTC)


def test_entries_come_up_in_the_order_of_their_moments() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("late", T0 + timedelta(seconds=2))
    agenda.put("early", T0 + timedelta(seconds=1))
    assert list(agenda.due(T0)) == []
    assert list(agenda.due(T0 + timedelta(seconds=2))) == ["early", "late"]
    assert len(agenda) == 0


def test_the_newest_word_about_an_entry_counts() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("moved", T0)
    agenda.put("moved", T0 + timedelta(hours=1))
    agenda.put("taken off", T0)
    agenda.put("taken off", None)
    assert list(agenda.due(T0)) == []
    assert agenda.next_at() == (T0 + timedelta(hours=1)).timestamp()
    assert list(agenda.due(T0 + timedelta(hours=1))) == ["moved"]


def test_an_entry_put_back_to_an_earlier_moment_comes_up_once() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("x", T0)
    agenda.put("x", T0 + timedelta(hours=1))
    agenda.put("x", T0)
    assert list(agenda.due(T0 + timedelta(hours=2))) == ["x"]


def test_moving_an_entry_for_ever_does_not_grow_the_agenda() -> None:
    agenda: Agenda[str] = Agenda()
    for second in range(10_000):
        agenda.put("x", T0 + timedelta(seconds=second))
    assert len(agenda._heap) < 200
    assert agenda.next_at() == (T0 + timedelta(seconds=9_999)).timestamp()
