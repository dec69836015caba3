"""The ledger of due moments: each ends good, not good or unknown, a late word corrects it, and counts never fall."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from lastgood.fleet.ledger import LEDGER_MEMORY, LedgerRow
from lastgood.model import fact
from lastgood.model.job import Outcome, Schedule
from lastgood.model.source import DueMoment, Moment
from tests.fleet.scene import HOURLY, Scene, day

GOOD, NOT_GOOD, UNKNOWN = Moment.GOOD, Moment.NOT_GOOD, Moment.UNKNOWN


class Ledger(Scene):
    """A scene that closes due moments as the watch does, and remembers the rows that the history would hold."""

    def __init__(self, **changes: object) -> None:
        self.rows: dict[datetime, LedgerRow] = {}
        self.told_rows = 0
        super().__init__(**changes)

    def tell(self, told: fact.Fact) -> object:  # type: ignore[override]
        before = self.fleet.evidence.get(getattr(self, "source_id", ""))
        changes = super().tell(told)
        for row in changes.moments:
            self.rows[row.due_at] = row
            self.told_rows += 1
        if before is not None:
            assert self.evidence.expected_runs >= before.expected_runs
            assert self.evidence.good_runs >= before.good_runs
            assert self.evidence.expected_runs >= self.evidence.good_runs
            assert len(self.evidence.paid) <= LEDGER_MEMORY
            assert len(self.evidence.owed) <= LEDGER_MEMORY
        return changes

    def close(self, now: datetime, *, looked: bool = True) -> None:
        """Close all whose deadline is past."""
        while self.evidence.ledger_deadline_at is not None and self.evidence.ledger_deadline_at <= now:
            assert self.evidence.ledger_at is not None
            moment = DueMoment(
                source_id=self.source_id,
                due_at=self.evidence.ledger_at,
                deadline_at=self.evidence.ledger_deadline_at,
                looked=looked,
            )
            self.tell(fact.MomentsPassed(at=now, origin="hub", moments=(moment,)))

    @property
    def results(self) -> list[Moment]:
        return [self.rows[due_at].result for due_at in sorted(self.rows)]

    def counts(self) -> tuple[int, int]:
        """(good, expected), which must be what the rows say."""
        counts = self.evidence.good_runs, self.evidence.expected_runs
        assert counts == (self.results.count(GOOD), len(self.results))
        return counts


def test_a_due_moment_ends_good_not_good_or_unknown() -> None:
    ledger = Ledger()
    ledger.on_schedule(day(2, 2))
    ledger.close(day(3))
    ledger.close(day(4), looked=True)
    ledger.close(day(5), looked=False)
    assert ledger.results == [GOOD, NOT_GOOD, UNKNOWN]
    assert sorted(ledger.rows) == [day(2, 2), day(3, 2), day(4, 2)]
    assert ledger.rows[day(3, 2)].deadline_at == day(3, 8)
    assert ledger.counts() == (1, 3)


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (Outcome.SUCCESS, GOOD),
        (Outcome.UNCHANGED, GOOD),
        (Outcome.PARTIAL, NOT_GOOD),
        (Outcome.FAILED, NOT_GOOD),
        (Outcome.LOST, NOT_GOOD),
        (Outcome.CANCELLED, UNKNOWN),
    ],
)
def test_a_word_that_comes_late_corrects_an_unknown_moment(outcome: Outcome, result: Moment) -> None:
    ledger = Ledger()
    ledger.on_schedule(day(2, 2))
    ledger.close(day(5), looked=False)
    assert ledger.results == [GOOD, UNKNOWN, UNKNOWN]
    ledger.on_schedule(day(3, 2), outcome, told_at=day(5, 1))
    assert ledger.results == [GOOD, result, UNKNOWN]
    ledger.counts()


def test_a_moment_thought_not_good_is_corrected_and_a_good_one_stays() -> None:
    ledger = Ledger()
    ledger.close(day(3), looked=True)
    ledger.on_schedule(day(2, 2))
    assert ledger.results == [GOOD]
    ledger.on_schedule(day(2, 2), Outcome.FAILED, id="another")
    ledger.run(day(2, 4))
    assert ledger.results == [GOOD]
    assert ledger.counts() == (1, 1)


def test_a_moment_is_paid_once() -> None:
    ledger = Ledger()
    ledger.on_schedule(day(2, 2))
    ledger.run(day(2, 4))
    assert ledger.evidence.paid == (day(2, 2),)


def test_an_unchanged_run_that_is_told_late_rests_on_no_snapshot_made_after_it() -> None:
    ledger = Ledger()
    ledger.on_schedule(day(3, 2))
    ledger.on_schedule(day(2, 2), Outcome.UNCHANGED, told_at=day(3, 3))
    assert ledger.evidence.paid == (day(3, 2),)


def test_an_accepted_partial_run_pays_its_moment() -> None:
    ledger = Ledger(accept_partial=True)
    ledger.on_schedule(day(2, 2), Outcome.PARTIAL)
    ledger.on_schedule(day(3, 2), Outcome.PARTIAL, snapshot_id=None)
    ledger.close(day(4))
    assert ledger.results == [GOOD, NOT_GOOD]


@pytest.mark.parametrize(
    ("ended_at", "result"),
    [(day(2, 1.9), NOT_GOOD), (day(2, 2), GOOD), (day(2, 8), GOOD), (day(2, 8.1), NOT_GOOD)],
)
def test_a_run_that_nobody_scheduled_stands_for_the_moment_in_whose_grace_it_ended(
    ended_at: datetime, result: Moment
) -> None:
    ledger = Ledger()
    ledger.run(ended_at)
    ledger.close(day(2, 23))
    assert ledger.results == [result]


def test_a_run_begun_in_time_is_good_however_long_it_took() -> None:
    ledger = Ledger()
    ledger.close(day(2, 9), looked=True)
    assert ledger.results == [NOT_GOOD]
    ledger.run(day(2, 12), started_at=day(2, 2), due_at=day(2, 2))
    assert ledger.results == [GOOD]


def test_a_run_begun_after_the_deadline_makes_nothing_good_that_was_missed() -> None:
    ledger = Ledger()
    ledger.close(day(2, 9), looked=True)
    ledger.run(day(2, 12), started_at=day(2, 11), due_at=day(2, 2))
    assert ledger.results == [NOT_GOOD]


@pytest.mark.parametrize("closed_first", [False, True])
def test_after_a_hub_that_was_down_for_three_days_every_hour_is_good(closed_first: bool) -> None:
    ledger = Ledger(schedule=HOURLY)
    back = day(5)
    hours = [day(2) + timedelta(hours=hour) for hour in range(72)]
    if closed_first:
        ledger.close(back, looked=False)
    for due_at in hours:
        ledger.on_schedule(due_at, told_at=back)
    ledger.close(back)
    asked_for = [
        row.result for due_at, row in sorted(ledger.rows.items()) if hours[0] <= due_at < back - timedelta(hours=1)
    ]
    assert asked_for == [GOOD] * 71
    ledger.counts()


def test_replaying_more_runs_than_the_ledger_remembers_loses_none_that_was_good() -> None:
    ledger = Ledger(schedule=Schedule(cron="*/5 * * * *"))
    moments = [day(2) + timedelta(minutes=5 * number) for number in range(864)]
    ledger.close(day(2) - timedelta(minutes=1), looked=True)
    missing = {3, 500}
    for number, due_at in enumerate(moments):
        if number not in missing:
            ledger.run(due_at + timedelta(minutes=1), started_at=due_at, due_at=due_at, told_at=day(5))
    ledger.close(day(5))
    of_replay = [ledger.rows[due_at].result for due_at in moments[:-5]]
    assert [number for number, result in enumerate(of_replay) if result is not GOOD] == sorted(missing)
    assert of_replay[500] is NOT_GOOD
    ledger.counts()


def test_a_pause_expects_nothing() -> None:
    ledger = Ledger()
    ledger.on_schedule(day(2, 2))
    ledger.close(day(2, 9))
    ledger.change(day(2, 12), paused_until=day(6, 12), paused_by="alice")
    ledger.close(day(6, 23))
    ledger.on_schedule(day(7, 2))
    ledger.close(day(8))
    assert sorted(ledger.rows) == [day(2, 2), day(7, 2)]
    assert ledger.counts() == (2, 2)


def test_a_pause_that_ends_early_expects_from_its_end() -> None:
    ledger = Ledger()
    ledger.close(day(2, 9))
    ledger.change(day(2, 12), paused_until=day(20), paused_by="alice")
    ledger.change(day(5, 12), paused_until=None, paused_by=None)
    ledger.close(day(7))
    assert sorted(ledger.rows) == [day(2, 2), day(6, 2)]


CHANGES = [
    {"paused_until": day(9), "paused_by": "alice"},
    {"schedule": Schedule(cron="0 22 * * *")},
    {"schedule": None},
    {"archived_by": "alice"},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_a_moment_that_was_due_is_not_taken_out_of_the_ledger_by_a_change(changes: dict[str, object]) -> None:
    ledger = Ledger()
    ledger.change(day(2, 3), **changes)
    assert ledger.evidence.ledger_at == day(2, 2)
    ledger.close(day(2, 9), looked=True)
    assert ledger.rows[day(2, 2)].result is NOT_GOOD
    assert len(ledger.rows) == 1


@pytest.mark.parametrize("changes", CHANGES)
def test_a_backlog_is_settled_before_a_change(changes: dict[str, object]) -> None:
    ledger = Ledger()
    ledger.on_schedule(day(3, 2))  # nothing was closed since: the hub was down
    ledger.change(day(5, 9), **changes)
    assert ledger.results == [NOT_GOOD, GOOD, UNKNOWN, UNKNOWN]
    assert ledger.counts() == (1, 4)


def test_a_change_within_the_grace_of_several_moments_loses_none() -> None:
    ledger = Ledger(schedule=HOURLY, grace=timedelta(hours=3))
    ledger.close(day(2, 10), looked=True)
    ledger.change(day(2, 10.5), schedule=Schedule(cron="0 22 * * *"))
    ledger.close(day(3, 3))
    hours = [day(1, 13) + timedelta(hours=hour) for hour in range(22)]
    assert sorted(ledger.rows) == [*hours, day(2, 22)]


def test_a_source_without_a_schedule_has_no_ledger() -> None:
    ledger = Ledger(schedule=None, target=timedelta(hours=26))
    ledger.run(day(2), due_at=day(2))
    assert ledger.evidence.ledger_at is None
    assert ledger.evidence.expected_runs == 0
    ledger.change(day(3, 3), schedule=Schedule(cron="0 2 * * *"))
    assert ledger.evidence.ledger_at == day(4, 2)


@pytest.mark.parametrize(("month", "last"), [(3, 28), (10, 24)])
def test_every_night_of_a_change_of_time_is_expected_once(month: int, last: int) -> None:
    made = datetime(2026, month, last, 12, tzinfo=day(1).tzinfo)
    ledger = Ledger(schedule=Schedule(cron="30 2 * * *", zone="Europe/Berlin"), created_at=made, revised_at=made)
    ledger.change(made, schedule=Schedule(cron="30 2 * * *", zone="Europe/Vienna"))
    ledger.rows.clear()
    expected = ledger.evidence.expected_runs
    ledger.close(made + timedelta(days=3, hours=12))
    assert len(ledger.rows) == 3
    assert ledger.evidence.expected_runs == expected + 3


def test_a_moment_that_was_asked_about_twice_is_closed_once() -> None:
    ledger = Ledger()
    moment = DueMoment(source_id=ledger.source_id, due_at=day(2, 2), deadline_at=day(2, 8), looked=True)
    elsewhere = DueMoment(source_id="unknown", due_at=day(2, 2), deadline_at=day(2, 8), looked=True)
    told = fact.MomentsPassed(at=day(2, 9), origin="hub", moments=(moment, elsewhere, moment))
    ledger.tell(told)
    ledger.tell(told)
    assert ledger.told_rows == 1
    assert ledger.counts() == (0, 1)


def test_a_run_that_claims_moments_to_come_pays_none_of_them() -> None:
    ledger = Ledger()
    for night in range(3, 9):
        ledger.run(day(2, 3) + timedelta(minutes=night), due_at=day(night, 2))
    ledger.close(day(9))
    assert ledger.results == [GOOD] + [NOT_GOOD] * 6


def test_a_run_for_a_moment_that_no_schedule_has_pays_nothing() -> None:
    ledger = Ledger()
    ledger.run(day(2, 1), due_at=day(2, 3.5), started_at=day(2, 0.9))
    assert ledger.evidence.paid == ()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_told_in_whatever_order_counts_are_those_of_the_rows_and_never_fall(seed: int) -> None:
    rng = random.Random(seed)
    ledger = Ledger(schedule=HOURLY, accept_partial=rng.random() < 0.3)
    now = day(1, 12)
    for step in range(300):
        now += timedelta(minutes=rng.randrange(1, 200))
        due_at = now.replace(minute=0) - timedelta(hours=rng.randrange(0, 30))
        action = rng.random()
        if action < 0.5:
            ended_at = min(now, due_at + timedelta(minutes=rng.randrange(0, 90)))
            changes = {"started_at": min(due_at, ended_at), "due_at": rng.choice([due_at, due_at, None])}
            ledger.run(ended_at, rng.choice(list(Outcome)), told_at=now, id=f"run-{step}", **changes)
        elif action < 0.8:
            ledger.close(now, looked=rng.random() < 0.5)
        elif action < 0.9:
            ledger.change(now, paused_until=rng.choice([None, now + timedelta(hours=rng.randrange(1, 40))]))
        elif action < 0.95:
            ledger.change(now, schedule=rng.choice([HOURLY, None, Schedule(cron="30 */4 * * *")]))
        else:
            ledger.change(now, archived_by=rng.choice([None, "alice"]))
    ledger.close(now + timedelta(days=2), looked=False)
    ledger.counts()
