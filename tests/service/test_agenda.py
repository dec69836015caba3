"""The agenda of moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lastgood.service.agenda import Agenda

T0 = datetime(2026, 3, 14, tzinfo=UTC)


def all_due(agenda: Agenda[str], now: datetime) -> list[str]:
    found: list[str] = []
    while (taken := agenda.take(now)) is not None:
        found.extend(taken)
    return found


def test_entries_come_up_in_the_order_of_their_moments() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("late", T0 + timedelta(seconds=2))
    agenda.put("early", T0 + timedelta(seconds=1))
    assert agenda.take(T0) is None
    assert not agenda.may_be_due(T0)
    assert agenda.may_be_due(T0 + timedelta(seconds=1))
    assert all_due(agenda, T0 + timedelta(seconds=2)) == ["early", "late"]
    assert len(agenda) == 0


def test_the_newest_word_about_an_entry_counts() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("moved", T0)
    agenda.put("moved", T0 + timedelta(hours=1))
    agenda.put("taken off", T0)
    agenda.put("taken off", None)
    assert not agenda.may_be_due(T0)
    assert all_due(agenda, T0) == []
    assert agenda.moment_of("moved") == (T0 + timedelta(hours=1)).timestamp()
    assert all_due(agenda, T0 + timedelta(hours=1)) == ["moved"]


def test_an_entry_put_back_to_an_earlier_moment_comes_up_once() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("x", T0)
    agenda.put("x", T0 + timedelta(hours=1))
    agenda.put("x", T0)
    assert all_due(agenda, T0 + timedelta(hours=2)) == ["x"]


def test_moving_an_entry_for_ever_does_not_grow_the_agenda() -> None:
    agenda: Agenda[str] = Agenda()
    for second in range(10_000):
        agenda.put("x", T0 + timedelta(seconds=second))
    assert len(agenda._heap) < 200
    assert agenda.moment_of("x") == (T0 + timedelta(seconds=9_999)).timestamp()


def test_however_much_comes_up_at_once_a_look_takes_only_some_of_it() -> None:
    agenda: Agenda[int] = Agenda()
    for number in range(1_000):
        agenda.put(number, T0)
    taken = agenda.take(T0)
    assert taken == list(range(50))
    assert len(agenda) == 950


def test_however_many_entries_were_moved_a_look_skips_only_some_of_them() -> None:
    agenda: Agenda[int] = Agenda()
    for number in range(1_000):
        agenda.put(number, T0)
    for number in range(1_000):
        agenda.put(number, T0 + timedelta(hours=1))
    assert agenda.may_be_due(T0), "nobody knows before all that was moved is skipped"
    assert agenda.take(T0) == []
    assert len(agenda._heap) == 1_900
    while agenda.take(T0) is not None:
        pass
    assert not agenda.may_be_due(T0)
    assert len(agenda) == 1_000
