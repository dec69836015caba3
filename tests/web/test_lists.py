"""Lists cut into pages are those of the sorted whole, however many things there are."""

from __future__ import annotations

import pytest

from lastgood.web import lists

MANY = [(number * 7919) % 10_007 for number in range(3 * lists.SORTED_AT_ONCE + 1)]


@pytest.mark.parametrize("number", [1, 2, 40, 61, 62, 1_000])
def test_a_page_of_very_many_things_is_that_page_of_all_of_them_sorted(number: int) -> None:
    sheet = lists.cut(MANY, number, "/", {}, lambda thing: -thing)
    shown = min(number, 61)
    assert sheet.number == shown
    assert sheet.total == len(MANY)
    assert sheet.rows == sorted(MANY, reverse=True)[(shown - 1) * lists.ROWS : shown * lists.ROWS]


def test_things_in_one_place_stay_in_the_order_in_which_they_came() -> None:
    things = [(number % 3, number) for number in range(2 * lists.SORTED_AT_ONCE)]
    by_first = lists.ordered(things, lambda thing: thing[0], 0, len(things))
    assert by_first == sorted(things, key=lambda thing: thing[0])


def test_no_things_make_one_empty_page() -> None:
    sheet = lists.cut([], 3, "/", {}, str)
    assert (sheet.rows, sheet.number, sheet.previous, sheet.next) == ([], 1, None, None)


def test_a_cursor_goes_through_all_ids_in_their_order_once() -> None:
    ids = [f"{number:05}" for number in MANY]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        some, cursor = lists.after(ids, cursor, 999)
        seen.extend(some)
        if cursor is None:
            break
    assert seen == sorted(ids)
