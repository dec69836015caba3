"""Each due moment once, over sleep, restarts and clocks that jump; time is turned, never waited for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lastgood.agent.kept import Fired
from lastgood.agent.schedule import Timetable
from lastgood.model.job import Schedule
from lastgood.wire.frames import Order

NIGHTLY = Schedule(cron="0 2 * * *")
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def an_order(source_id: str = "s", schedule: Schedule | None = NIGHTLY, **changes: object) -> Order:
    fields = {
        "source_id": source_id,
        "name": source_id,
        "repository_id": "r",
        "restic_host": "web-1",
        "tag": f"lg:{source_id}",
        "paths": ("/home",),
        "schedule": schedule,
    }
    return Order(**{**fields, **changes})  # type: ignore[arg-type]


def a_table(now: datetime = NOON, fired: dict[str, Fired] | None = None, *orders: Order) -> Timetable:
    table = Timetable(fired or {})
    table.assign(orders or (an_order(),), now)
    return table


def moments(table: Timetable, now: datetime) -> list[datetime]:
    return [due.due_at for due in table.due(now)]


def test_a_source_is_due_at_its_moment_and_not_before() -> None:
    table = a_table()
    assert table.next_at() == NOON + 14 * HOUR
    assert moments(table, NOON + 14 * HOUR - timedelta(microseconds=1)) == []
    assert moments(table, NOON + 14 * HOUR) == [NOON + 14 * HOUR]


def test_a_moment_is_told_once() -> None:
    table = a_table()
    assert len(moments(table, NOON + 15 * HOUR)) == 1
    assert moments(table, NOON + 15 * HOUR) == []
    assert table.next_at() == NOON + 38 * HOUR


def test_every_moment_of_a_week_comes_once_when_the_clock_runs() -> None:
    table = a_table()
    found = [due_at for minutes in range(0, 7 * 24 * 60, 7) for due_at in moments(table, NOON + minutes * HOUR / 60)]
    assert found == [NOON + 14 * HOUR + day * DAY for day in range(7)]


def test_after_a_long_sleep_only_the_latest_moment_is_caught_up() -> None:
    table = a_table()
    assert moments(table, NOON + 10 * DAY) == [NOON + 9 * DAY + 14 * HOUR]
    assert moments(table, NOON + 10 * DAY) == []


def test_a_year_of_sleep_with_a_schedule_of_every_minute_is_no_burden() -> None:
    table = a_table(NOON, None, an_order(schedule=Schedule(cron="* * * * *")))
    assert moments(table, NOON + 365 * DAY) == [NOON + 365 * DAY]


def test_a_restart_neither_repeats_nor_loses_a_moment() -> None:
    ran = {"s": Fired(NOON + 14 * HOUR, NIGHTLY)}
    assert moments(a_table(NOON + 15 * HOUR, ran), NOON + 15 * HOUR) == []
    asleep = {"s": Fired(NOON, NIGHTLY)}
    assert moments(a_table(NOON + 15 * HOUR, asleep), NOON + 15 * HOUR) == [NOON + 14 * HOUR]


def test_a_new_order_owes_nothing_of_the_past() -> None:
    table = Timetable({})
    begun, _ = table.assign([an_order()], NOON)
    assert begun == {"s": Fired(NOON, NIGHTLY)}
    assert moments(table, NOON) == []


def test_a_changed_schedule_owes_nothing_of_the_past() -> None:
    table = a_table(NOON, {"s": Fired(NOON - 10 * HOUR, NIGHTLY)})
    eleven = Schedule(cron="0 11 * * *")
    begun, _ = table.assign([an_order(schedule=eleven)], NOON)
    assert begun == {"s": Fired(NOON, eleven)}
    assert moments(table, NOON) == []
    assert table.next_at() == NOON + 23 * HOUR


def test_the_same_orders_again_change_nothing() -> None:
    table = a_table()
    begun, _ = table.assign([an_order(name="renamed")], NOON + 13 * HOUR)
    assert begun == {}
    assert moments(table, NOON + 14 * HOUR) == [NOON + 14 * HOUR]


def test_orders_that_are_gone_or_have_no_schedule_are_not_due() -> None:
    table = a_table()
    table.assign([an_order("t", schedule=None)], NOON)
    assert moments(table, NOON + 5 * DAY) == []
    assert table.next_at() is None


def test_a_pause_forgives_what_fell_into_it() -> None:
    table = a_table(NOON, None, an_order(paused_until=NOON + 3 * DAY))
    assert moments(table, NOON + 2 * DAY) == []
    assert moments(table, NOON + 3 * DAY) == []
    assert moments(table, NOON + 3 * DAY + 14 * HOUR) == [NOON + 3 * DAY + 14 * HOUR]


def test_a_clock_set_back_a_little_does_not_repeat_a_moment() -> None:
    table = a_table()
    assert len(moments(table, NOON + 14 * HOUR)) == 1
    assert moments(table, NOON + 14 * HOUR - HOUR) == []
    assert moments(table, NOON + 14 * HOUR + HOUR) == []


def test_a_clock_that_was_years_ahead_does_not_silence_a_source() -> None:
    table = a_table()
    assert len(moments(table, NOON + 3 * 365 * DAY)) == 1
    assert moments(table, NOON) == []
    assert moments(table, NOON + 14 * HOUR) == [NOON + 14 * HOUR]
    restarted = a_table(NOON, {"s": Fired(NOON + 3 * 365 * DAY, NIGHTLY)})
    assert restarted.next_at() == NOON + 14 * HOUR


def test_summer_time_neither_drops_nor_doubles_a_night() -> None:
    half_past_two = Schedule(cron="30 2 * * *", zone="Europe/Berlin")
    for eve in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        table = a_table(eve, None, an_order(schedule=half_past_two))
        found = [due_at for quarter in range(96) for due_at in moments(table, eve + quarter * HOUR / 4)]
        assert len(found) == 1


def test_a_schedule_that_cannot_be_followed_is_refused_by_name_and_spares_the_others() -> None:
    table = Timetable({})
    orders = [
        an_order("home", schedule=Schedule(cron="0 2 * * *", zone="Mars/Olympus")),
        an_order("mail", schedule=Schedule(cron="61 * * * *")),
        an_order("good"),
    ]
    begun, refused = table.assign(orders, NOON)
    assert set(begun) == {"good"}
    assert [sentence.split(":")[0] for sentence in refused] == ["home", "mail"]
    assert table.next_at() == NOON + 14 * HOUR
