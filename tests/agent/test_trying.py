"""What is tried again, how often, and what never is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from lastgood.agent.ending import Journal, Result, well
from lastgood.agent.trying import Patience, persist
from lastgood.model.job import Outcome

QUICK = Patience(pauses=(0.001, 0.002), lock_seconds=0.05)


def failed(cause: str) -> Result:
    return Result(outcome=Outcome.FAILED, cause=cause, reason=f"It was {cause}.")


class Attempts:
    """Answers one result after the other, the last for ever."""

    def __init__(self, *results: Result) -> None:
        self.results = list(results)
        self.made = 0
        self.journal = Journal()
        self.cancel = asyncio.Event()
        self.locks_of_ours: list[bool] = []

    async def once(self) -> Result:
        self.made += 1
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]

    async def clear(self) -> bool:
        return self.locks_of_ours.pop() if self.locks_of_ours else False

    async def persist(self, patience: Patience = QUICK, left: float = 3600.0, worth: bool = True) -> Result:
        async with asyncio.timeout(10):
            return await persist(
                self.once,
                patience=patience,
                journal=self.journal,
                cancel=self.cancel,
                left=lambda: left,
                worth=lambda _result: worth,
                unlocked=self.clear,
            )


async def test_a_store_that_answers_again_is_used_and_each_try_is_noted() -> None:
    attempts = Attempts(failed("unreachable"), failed("timeout"), well("Saved."))
    assert (await attempts.persist()).outcome is Outcome.SUCCESS
    text = attempts.journal.text(["restic's own line"])
    assert text.count("lastgood: try ") == 2
    assert "It was unreachable. Again in 0.001 s." in text
    assert text.endswith("restic's own line")


async def test_a_store_that_never_answers_is_given_up_after_a_few_tries() -> None:
    attempts = Attempts(failed("unreachable"))
    assert (await attempts.persist()).cause == "unreachable"
    assert attempts.made == 3


@pytest.mark.parametrize("cause", ["wrong_password", "no_repository", "damaged", "not_removed", "other", "no_space"])
async def test_what_a_second_try_cannot_change_is_tried_once(cause: str) -> None:
    attempts = Attempts(failed(cause))
    assert (await attempts.persist()).cause == cause
    assert attempts.made == 1


async def test_a_lock_is_waited_for_and_then_told() -> None:
    attempts = Attempts(failed("locked"))
    assert (await attempts.persist()).cause == "locked"
    assert attempts.made > 3, "longer than a store that does not answer"


async def test_a_lock_of_our_own_dead_process_costs_no_pause() -> None:
    attempts = Attempts(failed("locked"), well("Pruned."))
    attempts.locks_of_ours = [True]
    assert (await attempts.persist(Patience(pauses=(3600.0,)))).outcome is Outcome.SUCCESS


async def test_no_pause_outlives_the_runs_time() -> None:
    attempts = Attempts(failed("unreachable"))
    assert (await attempts.persist(Patience(pauses=(60.0,)), left=30.0)).cause == "unreachable"
    assert attempts.made == 1


async def test_a_restore_that_has_begun_to_write_is_not_tried_again() -> None:
    attempts = Attempts(failed("unreachable"))
    await attempts.persist(worth=False)
    assert attempts.made == 1


async def test_cancelling_ends_a_pause() -> None:
    attempts = Attempts(failed("unreachable"))
    waiting = asyncio.create_task(attempts.persist(Patience(pauses=(3600.0,)), left=1e9))
    while not attempts.made:
        await asyncio.sleep(0)
    attempts.cancel.set()
    assert (await waiting).outcome is Outcome.CANCELLED


@pytest.mark.parametrize("lines", [["x" * 2000] * 300, ["\udcff\u20ac" * 900] * 300])
def test_a_log_stays_within_its_bound_and_keeps_both_ends(lines: Iterable[str]) -> None:
    text = Journal().text(["first", *lines, "last"])
    assert len(text.encode()) <= 64 * 1024
    assert text.startswith("first")
    assert text.endswith("last")
