"""What the fake calls true equals what a person reads out of the scenario, and what it prints says the same."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .fake import FakeKopia
from .odd import ODDITIES
from .scenario import Scenario
from .truth import truth
from .world import MIX, traits

HOURLY = {"policy": {"scheduling": {"intervalSeconds": 3600}}, "gap": 3600}


def told(*attempts: dict[str, Any], **more: Any) -> dict[str, Any]:
    source = {"source": "root@web1:/srv", "attempts": list(attempts)} | HOURLY | more
    (one,) = truth(Scenario(size="none", sources=[source]))["sources"]
    return dict(one)


def at(hours: float, ended: str = "success", **more: Any) -> dict[str, Any]:
    return {"hours_ago": hours, "ended": ended, "size": int(hours * 1000)} | more


RUNNING = {"start": "2026-08-21T10:30:00Z", "end": "2026-08-21T11:45:00Z", "ended": "checkpoint"}
LEFT = {"start": "2026-08-21T05:30:00Z", "end": "2026-08-21T06:45:00Z", "ended": "checkpoint"}

# attempts -> outcome, good, running, hours since the last good one began, its size, consecutive failures
TABLE: list[tuple[list[dict[str, Any]], tuple[Any, ...]]] = [
    ([at(2), at(1)], ("success", True, False, 1, 1000, 0)),
    ([at(2), at(1, "warning")], ("warning", True, False, 1, 1000, 0)),
    ([at(2), at(1, "fatal")], ("failed", False, False, 2, 2000, 1)),
    ([at(3), at(2, "fatal"), at(1, "canceled")], ("incomplete", False, False, 3, 3000, 2)),
    ([at(2), at(1, "limit reached")], ("incomplete", False, False, 2, 2000, 1)),
    ([at(3), RUNNING], ("success", True, True, 3, 3000, 0)),
    ([at(9), at(8, "fatal"), RUNNING], ("failed", False, True, 9, 9000, 1)),
    ([at(9), LEFT], ("incomplete", False, False, 9, 9000, 1)),
    ([at(1, "fatal")], ("failed", False, False, None, None, 1)),
    ([RUNNING], (None, None, True, None, None, 0)),
    ([at(3), at(1, "died")], ("success", True, False, 3, 3000, 0)),  # nobody told of it
    ([], (None, None, False, None, None, 0)),
]


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_the_truth_is_what_a_person_reads(number: int) -> None:
    attempts, (outcome, good, running, hours, size, failures) = TABLE[number]
    one = told(*attempts)
    began = {None: None, 1: "11", 2: "10", 3: "09", 9: "03"}[hours]
    assert (one["outcome"], one["good"], one["running"], one["size"]) == (outcome, good, running, size)
    assert one["consecutive_failures"] == failures
    assert (one["last_good"] or {}).get("start") == (None if began is None else f"2026-08-21T{began}:00:00Z")
    assert one["never"] == (attempts == [])


def test_what_is_told_elsewhere_counts_when_it_is_told() -> None:
    scenario = {"source": "root@web1:/srv", "attempts": [at(3), at(1, "died")], **HOURLY}
    identical: dict[str, Any] = {"source": "root@web1:/static", "attempts": [at(30), at(1, "skipped")]}
    identical |= {"policy": {"retention": {"ignoreIdenticalSnapshots": True}}}
    alone = truth(Scenario(size="none", sources=[scenario, identical]))["sources"]
    helped = truth(Scenario(size="none", sources=[scenario, identical], identical=True))["sources"]
    assert [one["outcome"] for one in alone] == ["success", "success"]
    assert [one["outcome"] for one in helped] == ["failed", "success"]
    assert [one["unverifiable"] for one in alone + helped] == [False, True, False, False]
    assert helped[1]["last_good"]["start"] == "2026-08-21T11:00:00Z"


@pytest.mark.parametrize(
    ("more", "expected", "why"),
    [
        (HOURLY, 3600.0, "schedule"),
        ({"policy": None, "gap": None}, 7200.0, "history"),
        ({"policy": {"scheduling": {"manual": True}}, "gap": None}, 7200.0, "history"),
    ],
)
def test_the_expected_interval_is_the_schedule_else_twice_the_usual_gap(
    more: dict[str, Any], expected: float, why: str
) -> None:
    one = told(*(at(hours) for hours in (5, 4, 3, 2, 1)), **more)
    assert (one["expected_interval"], one["expected_from"]) == (expected, why)


@pytest.mark.parametrize("size", ["S", "M"])
def test_what_is_printed_has_as_many_of_each_kind_as_is_true(size: str, tmp_path: Path) -> None:
    with FakeKopia(tmp_path, size=size, oddities=list(ODDITIES)) as kopia:
        printed = json.loads(kopia.run("snapshot", "list", "--json").stdout)
        said = {(one["host"], one["user"], one["path"]): one for one in kopia.truth()["sources"]}
    counted: Counter[tuple[str, str, str, str]] = Counter()
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in printed:
        source = (one["source"]["host"], one["source"]["userName"], one["source"]["path"])
        summary = (one["rootEntry"] or {}).get("summ") or {}
        errors = summary.get("numFailed", 0) or summary.get("numIgnoredErrors", 0)
        kind = "incomplete" if "incomplete" in one else "with_errors" if errors else "complete"
        counted[(*source, kind)] += 1
        if kind != "incomplete" and not summary.get("numFailed", 0):
            newest[source] = one
    for source, one in said.items():
        assert one["snapshots"] == {kind: counted[(*source, kind)] for kind in one["snapshots"]}
        good = newest.get(source)
        assert one["last_good"] == (good and one["last_good"] | {"start": good["startTime"], "end": good["endTime"]})
    assert {key[:3] for key in counted} == {source for source, one in said.items() if sum(one["snapshots"].values())}
    assert len(said) > len(ODDITIES)


def test_a_fleet_of_two_hundred_has_every_state(tmp_path: Path) -> None:
    states = Counter(traits(1, number)[1] for number in range(200))
    assert set(states) == {name for name, _ in MIX}
    outcomes = Counter(one["outcome"] for one in truth(Scenario(size="M"))["sources"])
    assert set(outcomes) == {"success", "warning", "failed", "incomplete", None}


@pytest.mark.parametrize(
    ("maintenance", "full"),
    [
        ("fine", "2026-08-20T22:"),
        ("broken", "2026-08-19T22:"),
        ("stale", "2026-08-16T12:"),
        ("never", None),
        ("orphaned", "2026-08-20T22:"),
    ],
)
def test_a_full_cycle_counts_once_its_last_step_is_done(maintenance: str, full: str | None, tmp_path: Path) -> None:
    with FakeKopia(tmp_path, maintenance=maintenance, storage="s3") as kopia:
        said = kopia.truth()["repository"]
        runs = json.loads(kopia.run("maintenance", "info", "--json").stdout)["schedule"]["runs"] or {}
        sizes = [json.loads(line.rstrip(","))["length"] for line in _elements(kopia, "blob", "list", "--json")]
    cleaned = [run["end"] for run in runs.get("cleanup-logs", []) if run.get("success")]
    assert said["last_full"] == (cleaned[0] if cleaned else None)
    assert (said["last_full"] or "").startswith(full or "")
    assert (said["size"], said["blobs"]) == (sum(sizes), len(sizes))


def _elements(kopia: FakeKopia, *arguments: str) -> list[str]:
    return kopia.run(*arguments).stdout.decode().split("\n")[1:-1]
