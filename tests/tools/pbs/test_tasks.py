"""Tasks are counted once each, and the newest is the last."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from lastgood.model.pbs import TaskStatus
from lastgood.tools.pbs.job_shapes import TaskRow
from lastgood.tools.pbs.memory import decoded, encoded
from lastgood.tools.pbs.tasks import COMMENT, KEPT, LOOKBACK, Counted, TaskBook
from tests.tools.pbs.rows_of import DAY, HOUR, NOW, a_task

MINUTE = timedelta(minutes=1)


def a_book(counted: Counted | None = None, comment: str = "") -> TaskBook:
    return TaskBook(counted or Counted(), lambda name: comment)


def begun(comment: str = "") -> TaskBook:
    """A book that has looked once at a server without tasks."""
    book = a_book(comment=comment)
    book.take([], [], NOW)
    return book


def test_what_ended_before_first_contact_is_shown_and_counts_nothing() -> None:
    book = a_book()
    news, _ = book.take([], [a_task(NOW - DAY, end=NOW - HOUR)], NOW)
    assert news == []
    assert book.tasks.totals == {("backup", "OK", ""): 0}
    assert book.tasks.last["backup", "main:vm/100"].ended_at == NOW - HOUR


def test_each_end_counts_once_however_often_it_is_told() -> None:
    book, row = begun(), a_task(NOW, end=NOW + HOUR)
    for minutes in range(3):
        news, _ = book.take([], [row, row], NOW + minutes * MINUTE)
        assert len(news) == (1 if minutes == 0 else 0)
    assert book.tasks.totals == {("backup", "OK", ""): 1}


def test_the_newest_of_a_kind_is_the_last_in_whatever_order_they_come() -> None:
    """Trap 8: the list is newest first, so that whoever writes each row over the one before shows the oldest."""
    rows = [a_task(NOW - hour * HOUR, end=NOW - (hour - 1) * HOUR, number=hour) for hour in range(1, 200)]
    rows[0] = a_task(NOW - HOUR, end=NOW, status="died", number=1)
    for order in (rows, rows[::-1], random.Random(4).sample(rows, len(rows))):
        book = a_book()
        book.take([], order, NOW)
        last = book.tasks.last["backup", "main:vm/100"]
        assert (last.ended_at, last.status) == (NOW, TaskStatus.ERROR)
        assert book.tasks.last_ended_at == {"backup": NOW}


def test_a_task_of_thirty_hours_is_found_when_it_ends() -> None:
    """Trap 8: ``since`` is about starts, and a mark on what was last seen loses the long ones."""
    book, start = begun(), NOW + MINUTE
    row = a_task(start, kind="verify", worker_id="main")
    now = NOW
    for _ in range(30):
        now += HOUR
        book.take([row], [], now)
        assert book.tasks.running["verify", ""] == 1
    assert book.since([], now) <= start
    news, _ = book.take([], [a_task(start, end=now, kind="verify", worker_id="main")], now)
    assert [task.worker_type for task in news] == ["verify"]
    assert book.tasks.totals["verify", "OK", ""] == 1
    assert book.tasks.running["verify", ""] == 0


def test_a_task_older_than_the_lookback_counts_if_it_was_seen_running() -> None:
    book, start = begun(), NOW + MINUTE
    row = a_task(start)
    book.take([row], [], NOW + HOUR)
    later = NOW + LOOKBACK + DAY
    book.take([row], [], later)
    assert book.since([], later + MINUTE) <= start
    book.take([], [a_task(start, end=later), a_task(start, end=later, number=7)], later + MINUTE)
    assert book.tasks.totals == {("backup", "OK", ""): 1}


def test_the_whole_lookback_is_read_once_an_hour() -> None:
    book = begun()
    book.take([], [a_task(NOW, end=NOW + MINUTE)], NOW + MINUTE)
    assert book.since([], NOW + 2 * MINUTE) > NOW - HOUR
    assert book.since([], NOW + 2 * HOUR) == NOW + 2 * HOUR - LOOKBACK


def test_over_restarts_and_outages_each_task_counts_exactly_once() -> None:
    """Against a list as the server keeps it, over fifteen lives of a collector of which many end without saving."""
    draw = random.Random(11)
    tasks: list[tuple[datetime, datetime]] = []
    now, saved = NOW, encoded(begun().counted, {})
    for _ in range(15):
        book = a_book(decoded(saved)[0])
        for _ in range(draw.randrange(1, 6)):
            now += draw.choice([MINUTE, HOUR, 5 * HOUR])
            tasks += [(now - MINUTE, now + draw.choice([MINUTE, HOUR, 30 * HOUR])) for _ in range(draw.randrange(4))]
            _look(book, tasks, now)
            if draw.random() < 0.5:
                saved = encoded(book.counted, {})
    book = a_book(decoded(saved)[0])
    _look(book, tasks, now)
    assert len(tasks) > 20
    assert 10 < sum(book.tasks.totals.values()) == sum(end <= now for _, end in tasks)


def _look(book: TaskBook, tasks: list[tuple[datetime, datetime]], now: datetime) -> None:
    rows = [_row(number, begin, end, now) for number, (begin, end) in enumerate(tasks)]
    running = [row for row in rows if row.is_running]
    since = book.since(running, now).timestamp()
    book.take(running, [row for row in rows if row.starttime >= since], now)


def _row(number: int, begin: datetime, end: datetime, now: datetime) -> TaskRow:
    return a_task(begin, end=end if end <= now else None, number=number + 100)


def test_a_comment_is_told_for_backups_alone_and_cut_by_what_people_read() -> None:
    """Trap 10."""
    book = begun(comment="x" + "ü" * 80)
    book.take([], [a_task(NOW, end=NOW), a_task(NOW, end=NOW, kind="prune", worker_id="main::vm/100")], NOW + HOUR)
    assert set(book.tasks.totals) == {("backup", "OK", "x" + "ü" * (COMMENT - 1)), ("prune", "OK", "")}


def test_ids_with_the_time_of_a_snapshot_are_one() -> None:
    """Trap 9."""
    book = begun()
    ids = [f"main:vm/100/{number:08X}" for number in range(0x69000000, 0x69000032)]
    rows = [a_task(NOW, end=NOW, kind="reader", worker_id=each, number=n) for n, each in enumerate(ids)]
    book.take([], rows, NOW + HOUR)
    assert list(book.tasks.last) == [("reader", "main:vm/100")]
    assert book.tasks.totals == {("reader", "OK", ""): 50}


def test_texts_of_errors_are_classes_and_never_names() -> None:
    """Trap 9."""
    book = begun()
    texts = ["OK", "WARNINGS: 3", "unknown", "connection lost", "backup ended but finish flag is not set."]
    book.take([], [a_task(NOW, end=NOW, status=text, number=n) for n, text in enumerate(texts)], NOW + HOUR)
    counts = {status: count for (_, status, _), count in book.tasks.totals.items()}
    assert counts == {"OK": 1, "WARNINGS": 1, "unknown": 1, "ERROR": 2}


def test_what_ended_long_ago_is_no_longer_shown() -> None:
    book = begun()
    book.take([], [a_task(NOW, end=NOW)], NOW + HOUR)
    book.take([], [], NOW + KEPT + HOUR)
    assert book.tasks.last == {}
    assert book.tasks.totals == {("backup", "OK", ""): 1}


def test_what_is_told_of_a_group_goes_with_it() -> None:
    book = begun()
    book.take([], [a_task(NOW, end=NOW), a_task(NOW, end=NOW, worker_id="main:ct/7", number=2)], NOW + HOUR)
    book.forget(("main", "vm/100"))
    assert list(book.tasks.last) == [("backup", "main:ct/7")]
    assert book.backups(("main", "vm/100")) == []


def test_mappings_that_were_given_away_never_change() -> None:
    """Trap 24."""
    book = begun()
    before = book.tasks
    copy = (dict(before.totals), dict(before.last), dict(before.running), dict(before.last_ended_at))
    book.take([a_task(NOW, number=9)], [a_task(NOW, end=NOW)], NOW + HOUR)
    assert (before.totals, before.last, before.running, before.last_ended_at) == copy
    after = book.tasks
    book.take([a_task(NOW, number=9)], [a_task(NOW, end=NOW)], NOW + HOUR + MINUTE)
    assert book.tasks.last is after.last
    assert book.tasks.totals is after.totals


def test_memory_that_cannot_be_read_is_none() -> None:
    book = begun()
    book.take([a_task(NOW, number=3)], [a_task(NOW, end=NOW)], NOW + HOUR)
    held = encoded(book.counted, {"id": frozenset({5, 7})})
    counted, misdated, broken = decoded(held)
    assert (counted, misdated, broken) == (book.counted, {"id": frozenset({5, 7})}, False)
    for odd in (b"", b"\x00", held[:-3], b"\x91\x63"):
        assert decoded(odd) == (Counted(), {}, True)
    assert decoded(None) == (Counted(), {}, False)
