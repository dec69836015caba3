"""The log keeps each telling once, in one order, and never gives a place out twice."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select, update

from lastgood.model.fact import AlertOpened, Fact, HostEnrolled, HostRenamed, RunFinished, RunStarted
from lastgood.store import history, log
from lastgood.store.database import Database
from lastgood.store.log import Append, Committed, Mark, Quarantined, Skipped, Unreadable
from lastgood.store.records import set_meta
from lastgood.store.schema import fact_log, metadata, quarantine
from tests.builders import NOW, a_host, a_run, a_run_start, a_source, an_alert
from tests.facts import any_fact

_AT: dict[str, Any] = {"at": NOW, "origin": "test"}
SEEN, OUT_OF_TURN, SET_ASIDE = Skipped.SEEN, Skipped.OUT_OF_TURN, Skipped.SET_ASIDE


def renamed(name: str) -> Fact:
    return HostRenamed(**_AT, host_id=a_host().id, name=name)


def one(name: str, mark: Mark | None = None) -> Append:
    return Append((renamed(name),), mark)


async def append(database: Database, *appends: Append) -> list[Committed | Skipped]:
    return await database.write(partial(log.append, appends=appends))


async def logged(database: Database) -> list[tuple[int, Fact | Unreadable]]:
    return await database.read(partial(log.tail, after=0))


async def test_facts_are_numbered_in_the_order_they_came(database: Database) -> None:
    first = await append(database, one("a"), Append((renamed("b"), renamed("c"))))
    second = await append(database, one("d"))
    assert first == [Committed(((1, renamed("a")),)), Committed(((2, renamed("b")), (3, renamed("c"))))]
    assert second == [Committed(((4, renamed("d")),))]
    assert await logged(database) == [(n, renamed(name)) for n, name in enumerate("abcd", 1)]


async def test_a_position_told_twice_is_kept_once(database: Database) -> None:
    mark = Mark("agent:h:s", 7)
    assert isinstance((await append(database, one("a", mark)))[0], Committed)
    assert await append(database, one("a", mark), one("b", Mark("agent:h:s", 6))) == [SEEN, SEEN]
    assert len(await logged(database)) == 1
    assert await database.read(partial(log.marks_of, stream="agent:h:s")) == 7


async def test_a_position_told_twice_in_one_transaction_is_kept_once(database: Database) -> None:
    mark = Mark("request:r", 1)
    answers = await append(database, one("a", mark), one("a", mark))
    assert isinstance(answers[0], Committed)
    assert answers[1] is SEEN
    assert len(await logged(database)) == 1


async def test_streams_do_not_know_of_each_other(database: Database) -> None:
    await append(database, one("a", Mark("agent:h:old-spool", 9)))
    answers = await append(database, one("b", Mark("agent:h:new-spool", 1)))
    assert isinstance(answers[0], Committed)


async def test_nothing_is_kept_behind_what_was_not_kept(database: Database) -> None:
    await append(database, one("a", Mark("s", 1, after=0)))
    # number 2 was lost to a full disk; 3 was under way behind it
    assert await append(database, one("c", Mark("s", 3, after=2))) == [OUT_OF_TURN]
    assert await database.read(partial(log.marks_of, stream="s")) == 1
    answers = await append(database, one("b", Mark("s", 2, after=1)), one("c", Mark("s", 3, after=2)))
    assert all(isinstance(answer, Committed) for answer in answers)


async def test_a_stream_may_leave_numbers_out(database: Database) -> None:
    await append(database, one("a", Mark("s", 1, after=0)))
    assert isinstance((await append(database, one("b", Mark("s", 9, after=1))))[0], Committed)


async def test_places_are_not_given_out_again_when_the_log_is_trimmed(database: Database) -> None:
    await append(database, one("a"), one("b"))

    def fold(connection: Connection) -> None:
        set_meta(connection, log.FOLDED_UPTO, "2")
        log.trim(connection, 2)

    await database.write(fold)
    assert await logged(database) == []
    assert await append(database, one("c")) == [Committed(((3, renamed("c")),))]


async def test_what_a_newer_program_wrote_is_unreadable_and_not_a_crash(database: Database) -> None:
    await append(database, one("a"), one("b"), one("c"), one("d"))

    def spoil(connection: Connection) -> None:
        for seq, values in ((1, {"kind": "MoonPhaseChanged"}), (2, {"version": 99}), (3, {"body": "{"})):
            connection.execute(update(fact_log).where(fact_log.c.seq == seq).values(**values))

    await database.write(spoil)
    facts = [told for _, told in await logged(database)]
    assert [told.reason for told in facts if isinstance(told, Unreadable)] == [
        "This version knows no fact called MoonPhaseChanged.",
        "This version cannot read version 99 of HostRenamed.",
        "Its text cannot be read: Input data was truncated",
    ]
    assert facts[3] == renamed("d")


async def test_a_fact_that_cannot_be_written_is_set_aside_and_its_stream_goes_on(database: Database) -> None:
    bad = RunFinished(**_AT, run=replace(a_run(), duration_seconds=float("nan")))
    answers = await append(database, Append((bad,), Mark("s", 1)), one("b", Mark("s", 2, after=1)))
    assert answers[0] is SET_ASIDE
    assert isinstance(answers[1], Committed)
    assert await append(database, Append((bad,), Mark("s", 1))) == [SEEN]
    rows = await database.read(lambda connection: connection.execute(select(quarantine)).all())
    assert [(row.seq, row.kind) for row in rows] == [(None, "RunFinished")]
    assert "nan" in rows[0].reason
    assert await database.read(log.count_quarantined) == 1


async def test_quarantine_takes_back_the_history_of_its_facts(database: Database) -> None:
    run, alert = a_run(), an_alert()
    facts = (RunFinished(**_AT, run=run), AlertOpened(**_AT, alert=alert), renamed("x"))
    [committed] = await append(database, Append(facts))
    assert isinstance(committed, Committed)
    cases = [Quarantined(seq, told, "no such host") for seq, told in committed.facts]
    await database.write(partial(log.save_quarantine, cases=cases))
    await database.write(partial(log.save_quarantine, cases=cases))
    assert await database.read(log.count_quarantined) == 3
    assert (await database.read(history.list_runs)).runs == ()
    assert (await database.read(history.list_alerts)).alerts == ()


async def test_facts_and_their_history_are_kept_together(database: Database) -> None:
    start, run = a_run_start(id="r"), a_run(id="r")
    await append(database, Append((RunStarted(**_AT, run=start),)))
    assert await database.read(partial(history.find_run, run_id="r")) == (start, "")
    await append(database, Append((RunFinished(**_AT, run=run),), log="all done\n"))
    assert await database.read(partial(history.find_run, run_id="r")) == (run, "all done\n")


async def test_a_start_told_late_does_not_reopen_its_run(database: Database) -> None:
    run = a_run(id="r")
    await append(database, Append((RunFinished(**_AT, run=run),)))
    await append(database, Append((RunStarted(**_AT, run=a_run_start(id="r")),)))
    assert await database.read(partial(history.find_run, run_id="r")) == (run, "")


async def test_the_first_end_of_a_run_stays_when_a_second_goes_to_quarantine(database: Database) -> None:
    first, second = a_run(id="r"), a_run(id="r", reason="told again from a lost spool")
    await append(database, Append((RunFinished(**_AT, run=first),), log="first"))
    [again] = await append(database, Append((RunFinished(**_AT, run=second),), log="second"))
    assert isinstance(again, Committed)
    cases = [Quarantined(seq, told, "told before") for seq, told in again.facts]
    await database.write(partial(log.save_quarantine, cases=cases))
    assert await database.read(partial(history.find_run, run_id="r")) == (first, "first")


@pytest.mark.parametrize("together", [True, False])
async def test_no_host_rewrites_the_run_of_another(database: Database, together: bool) -> None:
    mine = a_run(a_source(), id="r")
    theirs = a_run(a_source(host=a_host("evil")), id="r", reason="hijacked")
    appends = [
        Append((RunFinished(**_AT, run=mine),), log="mine"),
        Append((RunFinished(**_AT, run=theirs),), log="theirs"),
    ]
    for some in [appends] if together else [[entry] for entry in appends]:
        await append(database, *some)
    assert await database.read(partial(history.find_run, run_id="r")) == (mine, "mine")


@given(st.lists(any_fact(), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_whatever_is_told_comes_back_from_the_log(facts: list[Fact]) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        answers = log.append(connection, [Append((told,)) for told in facts])
        assert log.tail(connection, 0) == [entry for a in answers if isinstance(a, Committed) for entry in a.facts]
        assert all(isinstance(answer, Committed) for answer in answers)
    engine.dispose()


async def test_an_enrolment_survives_with_all_its_letters(database: Database) -> None:
    host = a_host("dépôt\udcff\n\"'\\\x00")
    await append(database, Append((HostEnrolled(**_AT, host=host),)))
    [(_, told)] = await logged(database)
    assert told == HostEnrolled(**_AT, host=host)
