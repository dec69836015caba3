"""What is swept when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lastgood.collect.pbs.plan import WINDOW, Ask, Plan
from lastgood.config.servers import PbsServer
from lastgood.errors import BadPayload
from lastgood.secret import Secret
from lastgood.tools.pbs.groups import Line
from lastgood.tools.pbs.known import MOST_GROUPS, Groups
from lastgood.tools.pbs.place import Place
from lastgood.tools.pbs.rows import Rows
from lastgood.tools.pbs.shapes import GroupRow
from lastgood.tools.pbs.tasks import Counted

NOW = datetime(2025, 11, 20, 8, tzinfo=UTC)
PLACES: list[Place] = [(f"store-{store:02}", f"ns-{space}") for store in range(40) for space in range(5)]
QUICK = timedelta(milliseconds=20)
MINUTE = timedelta(minutes=1)


def nothing() -> Groups:
    server = PbsServer(name="", endpoint="https://pbs.example:8007", token_id="a@pbs!b", token_secret=Secret("x"))
    return Groups(server, Counted(), {})


def grouped(groups: Groups, place: Place, numbers: range, count: int = 1) -> None:
    rows = tuple(
        GroupRow(backup_type="vm", backup_id=str(number), last_backup=int(NOW.timestamp()), backup_count=count)
        for number in numbers
    )
    groups.take_groups(place, Rows(rows=rows), NOW)


def listed(groups: Groups, ask: Ask, numbers: range, count: int = 1) -> None:
    groups.asking(ask.place, ask.group)
    lines = tuple(
        Line("vm", str(number), int(NOW.timestamp()) - n, 1, None, None, None, None, False, False, False)
        for number in numbers
        for n in range(count)
    )
    groups.take_snapshots(ask.place, ask.group, Rows(rows=lines), NOW)


def test_in_any_hour_a_sixth_of_all_is_swept_and_in_six_hours_everything_once() -> None:
    plan, groups, now = Plan(), nothing(), NOW
    while (ask := plan.next(groups, PLACES, now)) is not None:
        plan.done(ask, now, QUICK)
    swept: list[tuple[datetime, Place]] = []
    while now < NOW + WINDOW:
        now += MINUTE
        while (ask := plan.next(groups, PLACES, now)) is not None:
            swept.append((now, ask.place))
            plan.done(ask, now, QUICK)
    assert sorted(place for _, place in swept) == sorted(PLACES)
    hours = [sum(1 for at, _ in swept if at - NOW <= timedelta(hours=h + 1)) for h in range(6)]
    assert all(abs(count - len(PLACES) * (h + 1) / 6) <= 1 for h, count in enumerate(hours))


def test_what_was_never_listed_comes_first_and_whole() -> None:
    plan, groups = Plan(), nothing()
    grouped(groups, PLACES[7], range(50))
    assert plan.next(groups, PLACES, NOW) == Ask(PLACES[7])


def test_a_few_groups_that_moved_are_asked_for_one_by_one_and_many_at_once() -> None:
    plan, groups, place = Plan(), nothing(), PLACES[0]
    grouped(groups, place, range(50))
    listed(groups, Ask(place), range(50))
    plan.done(Ask(place), NOW, QUICK)
    grouped(groups, place, range(50))
    assert plan.next(groups, [place], NOW) is None
    groups.touch(*place, "vm", "3")
    assert plan.next(groups, [place], NOW) == Ask(place, (*place, "vm", "3"))
    for number in range(6):
        groups.touch(*place, "vm", str(number))
    assert plan.next(groups, [place], NOW) == Ask(place)


def test_what_is_told_while_a_list_is_on_its_way_is_not_taken_for_listed() -> None:
    groups, place = nothing(), PLACES[0]
    grouped(groups, place, range(50))
    ask = Ask(place)
    groups.asking(ask.place, ask.group)
    grouped(groups, place, range(7, 8), count=2)  # one more backup of one group, and the others are gone
    line = Line("vm", "7", int(NOW.timestamp()), 1, None, None, None, None, False, False, False)
    groups.take_snapshots(place, None, Rows(rows=(line,)), NOW)
    assert groups.stale(place) == ([(*place, "vm", "7")], 1)


def test_a_list_that_does_not_come_waits_and_others_go_on() -> None:
    plan, groups = Plan(), nothing()
    for place in PLACES[:2]:
        grouped(groups, place, range(20))
    plan.failed(Ask(PLACES[0]), NOW)
    assert plan.next(groups, PLACES[:2], NOW) == Ask(PLACES[1])
    assert plan.next(groups, PLACES[:1], NOW + MINUTE) is None
    assert plan.next(groups, PLACES[:1], NOW + 3 * MINUTE) == Ask(PLACES[0])


def test_a_namespace_whose_list_takes_long_is_left_alone_for_longer() -> None:
    plan, groups, place = Plan(), nothing(), PLACES[0]
    grouped(groups, place, range(20))
    listed(groups, Ask(place), range(20))
    plan.done(Ask(place), NOW, MINUTE)
    groups.touch(*place, None, None)
    assert plan.next(groups, [place], NOW + 9 * MINUTE) is None
    assert plan.next(groups, [place], NOW + 10 * MINUTE) == Ask(place)


def test_a_server_that_tells_of_groups_without_end_fills_nothing() -> None:
    groups = nothing()
    grouped(groups, ("main", ""), range(10))
    with pytest.raises(BadPayload, match="more than 100,000 groups") as fault:
        grouped(groups, ("main", "more"), range(MOST_GROUPS))
    assert fault.value.cause == "too_large"
    assert len(groups.shown) == 10
    grouped(groups, ("main", "more"), range(10))
    assert len(groups.shown) == 20
