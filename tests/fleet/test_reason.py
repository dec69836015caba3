"""The verdict's reason: one sentence a person understands, the same on every face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from lastgood.fleet.judge import verdict
from lastgood.model.job import Outcome
from tests.fleet.scene import Scene, day


def _unchanged(scene: Scene) -> None:
    scene.on_schedule(day(2, 2))
    scene.run(day(2, 3), Outcome.UNCHANGED)


def _damaged(scene: Scene) -> None:
    scene.on_schedule(day(2, 2))
    scene.fleet.evidence[scene.source_id] = replace(scene.evidence, finding="damaged")


def _accepted(scene: Scene) -> None:
    scene.change(day(2), accept_partial=True)
    scene.run(day(2, 3), Outcome.PARTIAL)


CASES: list[tuple[Callable[[Scene], object], datetime, str]] = [
    (lambda s: s.change(day(2), archived_by="alice"), day(2), "Archived by alice."),
    (
        lambda s: s.change(day(2), paused_until=day(5), paused_by="alice"),
        day(2),
        "Paused by alice until 2026-03-05 00:00 UTC.",
    ),
    (lambda s: s.change(day(2), paused_until=day(5)), day(2), "Paused by somebody until 2026-03-05 00:00 UTC."),
    (
        lambda s: s.run(day(2, 3), Outcome.FAILED, reason=None),
        day(2, 4),
        "The last backup failed: no reason was given.",
    ),
    (
        lambda s: s.run(day(2, 3), Outcome.FAILED, reason=" disk full\n"),
        day(2, 4),
        "The last backup failed: disk full.",
    ),
    (
        lambda s: s.run(day(2, 3), Outcome.LOST),
        day(2, 4),
        "The agent stopped while the last backup ran, so it is lost.",
    ),
    (_damaged, day(2, 4), "The newest good backup is known to be damaged."),
    (lambda s: None, day(1, 13), "No backup yet; the first is due at 2026-03-02 02:00 UTC."),
    (lambda s: s.observe(), day(3), "No good backup so far; the first was due at 2026-03-02 02:00 UTC."),
    (
        lambda s: None,
        day(3),
        "Nothing was ever heard from web-1, so the backup due at 2026-03-02 02:00 UTC is unknown.",
    ),
    (
        lambda s: s.fall_silent(day(2, 7)),
        day(3),
        "Nothing was heard from web-1 since 2026-03-02 07:00 UTC, so we cannot say.",
    ),
    (lambda s: s.change(day(2), schedule=None), day(2), "Neither a schedule nor a target says when a backup is due."),
    (_unchanged, day(2, 5), "Nothing had changed when it was last backed up at 2026-03-02 03:00 UTC."),
    (_accepted, day(2, 5), "Backed up at 2026-03-02 03:00 UTC, incomplete, which this source accepts."),
    (
        lambda s: s.run(day(2, 3), files=0),
        day(2, 5),
        "Backed up at 2026-03-02 03:00 UTC, but it was empty: no file was found.",
    ),
    (lambda s: s.run(day(2, 3)), day(2, 5), "Backed up at 2026-03-02 03:00 UTC."),
    (lambda s: s.run(day(2, 3)), day(3, 3), "Due since 2026-03-03 02:00 UTC; it has until 2026-03-03 08:00 UTC."),
]


@pytest.mark.parametrize(("act", "now", "sentence"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_the_reason_says_what_is_so(act: Callable[[Scene], object], now: datetime, sentence: str) -> None:
    scene = Scene()
    act(scene)
    assert verdict(scene.fleet, scene.source_id, now).reason == sentence


def test_a_missed_backup_names_the_moment_it_was_due() -> None:
    scene = Scene()
    scene.observe()
    scene.on_schedule(day(2, 2))
    told = verdict(scene.fleet, scene.source_id, day(4))
    assert told.reason == "No good backup came for the one due at 2026-03-03 02:00 UTC."


def test_a_good_backup_behind_one_that_is_gone_says_so() -> None:
    scene = Scene()
    scene.run(day(2, 2.5))
    scene.on_schedule(day(3, 2))
    scene.survey(day(3, 3), scene.series(scene.point(day(2, 2.5))))
    told = verdict(scene.fleet, scene.source_id, day(3, 1))
    assert told.reason == (
        "A newer snapshot is gone from the repository; the last that is there ended at 2026-03-02 02:30 UTC."
    )
