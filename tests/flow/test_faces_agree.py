"""Whatever happens, in whatever order: every face says the same of every source, and what the judge says.

Hypothesis makes up stories: runs, surveys, agents that come and go, clocks that jump, restarts. They happen to a real
hub (``story.py``); after each step all faces are asked (``faces.py``).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from math import floor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastgood.alerts import rules
from lastgood.fleet.doubts import ALERTED
from lastgood.fleet.judge import host_online, repository_state, source_state, verdict
from lastgood.model.job import Outcome, RunKind, Schedule
from lastgood.model.repository import Probe
from lastgood.model.source import WORST_FIRST, Source, State
from tests.flow.faces import Look, instant, look, row_of, samples_of
from tests.flow.story import REPOSITORIES, Story

Step = tuple[Any, ...]
RULES = {
    State.FAILED: "backup_failed",
    State.NEVER: "backup_never",
    State.MISSED: "backup_missed",
    State.UNKNOWN: "backup_unknown",
    State.PARTIAL: "backup_partial",
}

# --- what must hold after each step ------------------------------------------------------------------------------


async def agree(story: Story, *, settled: bool) -> None:
    """Every face against every other; against judge and rules too, once the watch has had its round."""
    fleet = story.service.fleet
    seen = await look(story.browser, story.scraper)
    assert set(seen.sources) == set(fleet.sources)
    for source in fleet.sources.values():
        of_source(seen, source, seen.sources[source.id])
    in_counts(seen)
    for host_id in fleet.hosts:
        of_host(story, seen, host_id)
    of_repositories(seen)
    if settled:
        as_judged(story, seen)
        as_ruled(story, seen)


def of_source(seen: Look, source: Source, said: dict[str, Any]) -> None:
    """API, page and metrics about one source."""
    if said["archived"]:
        assert source.id not in seen.rows
    else:
        assert seen.rows[source.id] == row_of(said)
    assert [labels["state"] for labels, _ in seen.of("backup_source_state", source=source.id)] == [said["state"]]
    want = samples_of(said)
    assert {name: seen.one(name, source=source.id) for name in want} == want
    [(labels, _)] = seen.of("backup_source_info", source=source.id)
    assert labels == {
        "source": source.id,
        "tool": "restic",
        "host": said["host"],
        "name": said["name"],
        "repository": said["repository"],
    }
    if said["state"] == "good":
        assert said["last_good_at"] is not None
        assert seen.one("backup_last_good_timestamp_seconds", source=source.id) is not None


def in_counts(seen: Look) -> None:
    """Sentence, summary, host and alert counts against the single rows."""
    states = [said["state"] for said in seen.sources.values()]
    worst = next((state for state in WORST_FIRST if state in states), None)
    assert seen.fleet["state"] == worst
    assert seen.fleet["states"] == {state: states.count(state) for state in WORST_FIRST}
    counted = [state for state in states if state not in ("paused", "archived")]
    if seen.sources:
        assert seen.verdict == worst
        assert seen.sentence == seen.fleet["sentence"]
        is_good = seen.sentence.startswith(("Everything you run has a good", "What you run has a good"))
        assert is_good == (bool(counted) and set(counted) == {"good"})
    order = [WORST_FIRST.index(State(row["state"])) for row in seen.rows.values()]
    assert order == sorted(order)
    assert seen.one("rm_hosts_total") == len(seen.hosts)
    assert seen.one("rm_hosts_online") == sum(bool(host["online"]) for host in seen.hosts.values())
    for severity in ("info", "warning", "critical"):
        count = sum(alert["severity"] == severity for alert in seen.alerts)
        assert seen.value("rm_active_alerts", severity=severity) == count
        assert seen.fleet["open_alerts"].get(severity, 0) == count


def of_host(story: Story, seen: Look, host_id: str) -> None:
    """``rm_host_*`` against the API and against the runs that were told."""
    said = seen.hosts[host_id]
    told = {"host_id": host_id, "host": said["name"]}
    assert seen.value("rm_host_agent_online", **told) == bool(said["online"])
    alerts = [alert for alert in seen.alerts if alert["host_id"] == host_id]
    assert seen.value("rm_host_open_alerts", **told) == said["open_alerts"] == len(alerts)
    assert len(seen.of("rm_host_repo_status", **told)) == 1

    mine = [source for source in seen.sources.values() if source["host_id"] == host_id]
    looks = [seen.repositories[i] for i in {source["repository_id"] for source in mine}]
    for name, noun in (("rm_host_repo_size_bytes", "size_bytes"), ("rm_host_snapshot_count", "snapshots")):
        known = [one[noun] for one in looks if one[noun] is not None]
        assert seen.value(name, **told) == (sum(known) if known else None)

    newest = None
    for run in story.runs:
        if run.host_id == host_id and run.is_attempt and (newest is None or run.ended_at >= newest.ended_at):
            newest = run
    at = seen.value("rm_host_last_backup_timestamp_seconds", **told)
    success = seen.value("rm_host_last_backup_success", **told)
    assert at == (None if newest is None else floor(newest.ended_at.timestamp()))
    if newest is None:
        assert success is None
    elif newest.outcome in (Outcome.FAILED, Outcome.LOST):
        assert success == 0
    elif newest.outcome is Outcome.PARTIAL:
        assert success == seen.sources[newest.source_id or ""]["accept_partial"]
    elif newest.snapshot_id:
        assert success == 1
    else:
        assert success in ((0, 1) if newest.outcome is Outcome.UNCHANGED else (0,))


def of_repositories(seen: Look) -> None:
    for said in seen.repositories.values():
        told = {"repository": said["name"], "repository_id": said["id"]}
        up = {"up": 1, "down": 0, "unknown": None}[said["state"]]
        assert seen.one("backup_repository_up", **told) == up
        assert seen.one("backup_repository_size_bytes", **told) == said["size_bytes"]
        locks = said["locks"]
        assert seen.one("backup_repository_locks", **told) == (None if locks is None else len(locks))


def as_judged(story: Story, seen: Look) -> None:
    """What was told is what the judge says of this very moment."""
    fleet, now = story.service.fleet, story.now
    assert fleet.judging.evaluated_at == now
    assert instant(seen.fleet["evaluated_at"]) == now
    for source in fleet.sources.values():
        said, answer = seen.sources[source.id], verdict(fleet, source.id, now)
        assert said["state"] == source_state(fleet, source, now)[0]
        assert said["reason"] == answer.reason
        for noun in ("due_at", "deadline_at", "holds_until", "observed_at"):
            assert instant(said[noun]) == getattr(answer, noun), noun
        assert instant(said["last_good_at"]) == (answer.last_good and answer.last_good.ended_at)
        observed = seen.one("backup_observed_timestamp_seconds", source=source.id)
        assert observed == (None if answer.observed_at is None else floor(answer.observed_at.timestamp()))
    for host_id in fleet.hosts:
        assert seen.hosts[host_id]["online"] == host_online(fleet, host_id, now)[0]
    for repository_id in fleet.repositories:
        assert seen.repositories[repository_id]["state"] == repository_state(fleet, repository_id, now)[0]


def as_ruled(story: Story, seen: Look) -> None:
    """The open alerts are those that the told states ask for; only unknown after a start of ours changes none."""
    fleet, now = story.service.fleet, story.now
    for source_id, said in seen.sources.items():
        is_open = [alert["rule"] for alert in seen.alerts if alert["entity_id"] == source_id]
        if rules.is_held(fleet, source_id, now):
            assert said["state"] == "unknown"
            continue
        wanted = RULES.get(State(said["state"]))
        assert is_open == ([] if wanted is None else [wanted])
    for host_id, said in seen.hosts.items():
        is_open = [alert["rule"] for alert in seen.alerts if alert["entity_id"] == host_id]
        awaited = said["seen_at"] is None and now < fleet.hosts[host_id].enrolled_at + timedelta(minutes=15)
        assert is_open == ([] if said["online"] or awaited else ["host_offline"])
    for repository_id in seen.repositories:
        is_open = [alert["rule"] for alert in seen.alerts if alert["entity_id"] == repository_id]
        doubts = fleet.repository_evidence_of(repository_id).doubts
        assert is_open == (["repository_finding"] if any(doubt.kind in ALERTED for doubt in doubts) else [])
    known = {*seen.sources, *seen.hosts, *seen.repositories}
    assert all(alert["entity_id"] in known for alert in seen.alerts)


# --- stories -----------------------------------------------------------------------------------------------------

_two, _four = st.integers(0, 1), st.integers(0, 3)
_minutes = st.sampled_from([0, 0, 1, 30, 200, 3000])
_length = st.sampled_from(
    [{"seconds": 1}, {"seconds": 91}, {"minutes": 14}, {"hours": 1}, {"hours": 7}, {"days": 1}, {"days": 4}]
)
_back = st.sampled_from([{"seconds": -3}, {"hours": -8}, {"days": -2}])
_kinds = st.sampled_from([RunKind.BACKUP] * 5 + [RunKind.CHECK])
_changes: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"schedule": None},
        {"schedule": Schedule(cron="0 * * * *")},
        {"schedule": Schedule(cron="0 2 * * *", zone="Europe/Berlin")},
        {"target": timedelta(hours=3)},
        {"target": None},
        {"grace": timedelta(0)},
        {"accept_partial": True},
        {"accept_partial": False},
        {"paused_hours": 3},
        {"paused_until": None, "paused_by": None},
        {"archived_by": "ann"},
        {"archived_by": None},
        {"repository_id": REPOSITORIES[1].id},
        {"name": "called otherwise"},
    ]
)
_run = st.tuples(
    st.just("run"),
    _four,
    st.sampled_from([Outcome.SUCCESS, Outcome.SUCCESS, *Outcome]),
    _minutes,
    st.sampled_from([True, True, False]),
    _kinds,
    st.sampled_from([False, False, False, True]),
)
_turn = st.tuples(st.just("turn"), st.one_of(_length, _length, _back))
_agent = st.tuples(
    st.just("agent"), _two, st.sampled_from(["arrive", "arrive", "come", "in step", "behind", "go", "heard"])
)
_survey = st.tuples(
    st.just("survey"),
    _two,
    _minutes,
    st.lists(st.booleans(), min_size=1, max_size=3),
    st.sampled_from([0, 0, 1, 2]),
)
_rest = st.one_of(
    st.tuples(st.just("begin"), _four),
    st.tuples(st.just("probe"), _two, st.sampled_from(Probe), _minutes),
    st.tuples(st.just("size"), _two, st.integers(0, 2**40)),
    st.tuples(st.just("locks"), _two, st.integers(0, 2)),
    st.tuples(st.just("change"), _four, _changes),
    st.tuples(st.just("change"), _four, _changes),
    st.tuples(st.just("host"), _two, st.sampled_from(["rename", "remove", "enrol"])),
    st.tuples(st.just("restart"), _length),
    st.tuples(st.just("jump"), _length),
)
_GOOD_RUNS = [("run", which, Outcome.SUCCESS, 0, True, RunKind.BACKUP, False) for which in range(4)]
_PEACE: list[Step] = [("agent", 0, "arrive"), ("agent", 1, "arrive"), ("turn", {"minutes": 14}), *_GOOD_RUNS]
"""All agents there, all backed up: most of what can go wrong goes wrong from here."""

_step = st.one_of(_run, _run, _turn, _agent, _survey, _rest)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's folder that was begun once, to be copied: making tables takes longer than a story."""
    folder = tmp_path_factory.mktemp("begun")

    async def begin() -> None:
        story = Story(folder)
        await story.open()
        await story.close()

    asyncio.run(begin())
    return folder


async def take(story: Story, step: Step) -> None:
    name, *arguments = step
    act: Callable[..., Awaitable[None]] = getattr(story, name)
    if name in ("turn", "jump", "restart"):
        await act(**arguments[0])
    else:
        await act(*arguments)


async def tell(folder: Path, peaceful: bool, steps: Sequence[Step]) -> None:
    story = Story(folder)
    await story.open()
    try:
        for step in _PEACE if peaceful else ():
            await take(story, step)
        await story.tick()
        await agree(story, settled=True)
        for step in steps:
            await take(story, step)
            if step[0] not in ("turn", "restart"):  # those two have had the watch's round
                await agree(story, settled=False)
            if step[0] != "jump":
                await story.tick()
                await agree(story, settled=True)
    finally:
        await story.close()


def faces_agree(fresh: Path, peaceful: bool, steps: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room) / "data"
        shutil.copytree(fresh, folder)
        asyncio.run(tell(folder, peaceful, steps))


_peaceful = st.sampled_from([True, True, False])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(peaceful=_peaceful, steps=st.lists(_step, min_size=6, max_size=14))
def test_every_face_says_the_same_of_every_source_whatever_happens(
    fresh: Path, peaceful: bool, steps: list[Step]
) -> None:
    faces_agree(fresh, peaceful, steps)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(peaceful=_peaceful, steps=st.lists(_step, min_size=6, max_size=40))
def test_every_face_says_the_same_through_long_stories(fresh: Path, peaceful: bool, steps: list[Step]) -> None:
    faces_agree(fresh, peaceful, steps)


def test_faces_agree_on_what_only_a_moment_or_a_return_brings(fresh: Path) -> None:
    """One story that has each of them, so that none is left to chance."""
    steps: list[Step] = [
        ("probe", 0, Probe.READY, 0),
        ("turn", {"hours": 7}),
        ("turn", {"hours": -6}),
        ("agent", 0, "go"),
        ("turn", {"days": 4}),
        ("agent", 0, "arrive"),
        ("agent", 1, "behind"),
        ("turn", {"days": -2}),
        ("run", 0, Outcome.SUCCESS, 0, False, RunKind.BACKUP, False),
        ("run", 0, Outcome.PARTIAL, 0, True, RunKind.BACKUP, False),
        ("restart", {"hours": 7}),
        ("turn", {"minutes": 14}),
        ("turn", {"seconds": 91}),
    ]
    faces_agree(fresh, True, steps)
