"""A fleet with a past: eight days of two tools, in every state, as pages of what lastgood told at each moment.

``at(moment)`` is the fleet as it stood then; ``backfill`` writes the pages of many moments as one OpenMetrics text
with timestamps, from which promtool makes blocks. The one rule: what a moment holds follows from the moment alone, so
that counters only rise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import IO

from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.text import Format, chunks
from lastgood.metrics.vocabulary import sections
from lastgood.model.alert import Severity
from lastgood.model.job import Outcome, RunKind, Status
from lastgood.model.repository import NO_REPOSITORY_EVIDENCE, Probe, RepositoryState
from lastgood.model.source import Source, State
from tests.builders import (
    a_host,
    a_repository,
    a_run,
    a_run_start,
    a_source,
    an_alert,
    put_alert,
    put_host,
    put_repository,
    put_running,
    put_source,
    some_evidence,
    some_repository_evidence,
)
from tests.metrics.fleets import OWN

GIB = 1 << 30
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Past:
    """One source: where it is, how often it runs, how it stands in the last hours, and how long it has stood so."""

    name: str
    host: str
    tool: str = "restic"
    repository: str = "vault"
    every: timedelta = timedelta(hours=6)
    state: State = State.GOOD
    since: timedelta = timedelta(hours=7)
    fails_each: int = 0
    """Each so manieth run fails; 0 for none."""


PASTS = (
    Past("etc", "web-1"),
    Past("home (all) [x]", "web-1", state=State.LATE, since=timedelta(hours=1)),
    Past("database", "db-1", fails_each=9),
    Past("logs", "db-1", state=State.FAILED),
    Past("mail", "mail-1", "kopia", "cold.example+storage", every=timedelta(hours=12), state=State.PARTIAL),
    Past("photos", "mail-1", "kopia", "cold.example+storage", every=DAY, fails_each=4),
    Past("music", "nas-1", repository="attic", state=State.MISSED),
    Past("videos", "nas-1", repository="attic", state=State.UNKNOWN),
    Past("fresh", "new-1", repository="unopened", every=DAY, state=State.NEW, since=timedelta(days=30)),
    Past("forgotten", "new-1", repository="unopened", every=DAY, state=State.NEVER, since=timedelta(days=30)),
    Past("old", "web-1", state=State.ARCHIVED, since=timedelta(days=30)),
    Past("resting", "db-1", state=State.PAUSED, since=timedelta(days=3)),
)
ONLINE = {"web-1": True, "db-1": True, "mail-1": True, "nas-1": False, "new-1": True}
UNBORN = {State.NEW, State.NEVER}
STOPPED = {State.MISSED, State.UNKNOWN, State.ARCHIVED, State.PAUSED, State.LATE}
ATTEMPTS = {State.FAILED: Outcome.FAILED, State.PARTIAL: Outcome.PARTIAL}


def at(moment: datetime, end: datetime) -> FleetView:
    """The fleet at ``moment`` of a past that ends at ``end``."""
    fleet = Fleet()
    fleet.judging.evaluated_at = moment
    hosts = {name: put_host(fleet, a_host(name), online=online) for name, online in ONLINE.items()}
    days = (moment - end) / DAY + 10
    repositories = {
        "vault": (
            some_repository_evidence(size_bytes=int((100 + 2 * days) * GIB), observed_at=moment),
            RepositoryState.UP,
        ),
        "cold.example+storage": (
            some_repository_evidence(size_bytes=int((5 + days**2 / 10) * GIB), observed_at=moment),
            RepositoryState.UP,
        ),
        "attic": (
            some_repository_evidence(
                probe=Probe.UNREACHABLE, size_bytes=40 * GIB, observed_at=end - timedelta(hours=8)
            ),
            RepositoryState.DOWN if end - moment < timedelta(hours=8) else RepositoryState.UP,
        ),
        "unopened": (NO_REPOSITORY_EVIDENCE, RepositoryState.UNKNOWN),
    }
    tools = {past.repository: past.tool for past in PASTS}
    placed = {
        name: put_repository(fleet, a_repository(name, tool=tools[name]), evidence, state)
        for name, (evidence, state) in repositories.items()
    }
    for past in PASTS:
        source = a_source(past.name, hosts[past.host], placed[past.repository], tool=past.tool)
        _place(fleet, source, past, moment, end)
    return fleet.view()


def _place(fleet: Fleet, source: Source, past: Past, moment: datetime, end: datetime) -> None:
    begin = end - timedelta(days=12)
    changed = end - past.since
    in_state = moment >= changed
    state = past.state if in_state else State.GOOD
    if past.state in UNBORN:
        expected = 10 if past.state is State.NEVER else 0
        evidence = some_evidence(
            due_at=moment + DAY / 3 if past.state is State.NEW else end - DAY,
            interval=past.every,
            observed_at=moment,
            expected_runs=expected,
            good_runs=0,
        )
        put_source(fleet, source, evidence, state)
        return
    stopped = in_state and past.state in STOPPED
    last = min(moment, changed) if stopped else moment
    count = int((last - begin) / past.every)
    due = int((moment - begin) / past.every) if past.state is not State.ARCHIVED else count
    failed = count // past.fails_each if past.fails_each else 0
    ended = begin + count * past.every
    good = a_run(
        source,
        ended,
        size_bytes=20 * GIB + count * 10_000_000,
        added_bytes=3_000_000 + count * 1_000,
        duration_seconds=30.0 + 10 * count + 600 * (past.tool == "kopia"),
    )
    attempt = good
    if in_state and past.state in ATTEMPTS:
        good = replace(good, ended_at=ended - past.every, started_at=ended - past.every - timedelta(minutes=10))
        attempt = a_run(source, ended, outcome=ATTEMPTS[past.state])
    evidence = some_evidence(
        good,
        interval=past.every,
        due_at=ended + past.every,
        last_attempt=attempt,
        expected_runs=due,
        good_runs=count - failed,
        observed_at=end - timedelta(hours=8) if stopped and past.host == "nas-1" else moment,
    )
    put_source(fleet, source, evidence, state)
    for _ in range(count - failed):
        fleet.durations.observe(RunKind.BACKUP, Status.SUCCEEDED, 720.0 if past.tool == "kopia" else 120.0)
    for _ in range(failed):
        fleet.durations.observe(RunKind.BACKUP, Status.FAILED, 3.0)
    if state in (State.FAILED, State.MISSED):
        put_alert(fleet, an_alert(f"backup_{state}", Severity.CRITICAL, source))
    if state in (State.UNKNOWN, State.PARTIAL):
        put_alert(fleet, an_alert(f"backup_{state}", Severity.WARNING, source))
    if past.name == "etc":
        put_running(fleet, a_run_start(source, moment))


def body(moment: datetime, end: datetime, format_: Format) -> Iterator[bytes]:
    own = replace(OWN, evaluated_at=moment)
    return chunks(sections(VOCABULARIES, at(moment, end), own), format_)


def backfill(moments: Iterable[datetime], end: datetime, labels: str, into: IO[bytes]) -> None:
    """Pages of rising moments with ``labels`` and timestamps on each row, as promtool's backfill reads them."""
    for moment in moments:
        stamp = f" {int(moment.timestamp())}\n".encode()
        for line in b"".join(body(moment, end, Format.OPENMETRICS)).splitlines():
            if not line.startswith(b"#"):
                row, value = line.rsplit(b" ", 1)
                name, brace, rest = row.partition(b"{")
                if rest.startswith(b'job="'):  # a scrape keeps its own job, and renames the one it finds
                    rest = b"exported_" + rest
                told = labels.encode() + (b"," + rest if brace else b"}")
                into.write(name + b"{" + told + b" " + value + stamp)
    into.write(b"# EOF\n")
