"""Whose turn it is: one alert's notices in order, a digest behind everything and ahead of everything."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from lastgood.model.channel import Event
from lastgood.notices.order import Waiting, first_due, next_turn
from tests.builders import NOW

LATER = NOW + timedelta(minutes=1)

_waiting = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from([-60, 0, 30, 60])), max_size=8
).map(
    lambda rows: [
        Waiting(
            str(number),
            alert,
            Event.DIGEST if alert is None else Event.OPENED,
            NOW + timedelta(seconds=seconds),
        )
        for number, (alert, seconds) in enumerate(rows)
    ]
)


def one(name: str, alert: str | None, at=NOW) -> Waiting:  # type: ignore[no-untyped-def]
    return Waiting(name, alert, Event.DIGEST if alert is None else Event.OPENED, at)


def test_of_one_alert_the_second_waits_for_the_first() -> None:
    assert first_due([one("1", "a", LATER), one("2", "a"), one("3", "b")], NOW) == "3"
    assert first_due([one("1", "a", LATER), one("2", "a")], NOW) is None


def test_a_digest_waits_for_all_ahead_and_all_behind_wait_for_it() -> None:
    assert first_due([one("1", "a", LATER), one("2", None)], NOW) is None
    assert first_due([one("1", None, LATER), one("2", "b")], NOW) is None
    assert first_due([one("1", None), one("2", "b")], NOW) == "1"


@given(_waiting)
def test_nothing_is_overtaken_and_whoever_may_go_gets_its_turn(waiting: list[Waiting]) -> None:
    turn = first_due(waiting, NOW)
    soonest = next_turn(waiting)
    assert (soonest is None) == (not waiting)
    assert (turn is not None) == (soonest is not None and soonest <= NOW)
    if turn is not None:
        place = int(turn)
        ahead = waiting[:place]
        assert all(other.alert_id != waiting[place].alert_id for other in ahead)
        assert all(other.event is not Event.DIGEST for other in ahead)
        assert not (waiting[place].event is Event.DIGEST and ahead)
