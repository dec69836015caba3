"""What judging costs, and what a large fleet weighs.

    python bench/judge.py --json             100,000 hosts with three sources each
    python bench/judge.py --hosts 10000 --sources 3

Each fact is written and read again as the log has it, so that no text is shared by accident, and learned; then one
judgement a source and the frozen view are timed, and memory is counted. The last line of ``--json`` is one object.
The numbers to reach are in the design: under 600 MB for values, never 20 ms in one piece.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.judge import host_online, source_state
from lastgood.fleet.learn import learn
from lastgood.ids import ulid
from lastgood.model.fact import (
    Fact,
    HostEnrolled,
    RepositoryConfigured,
    RunFinished,
    SnapshotsListed,
    SourceConfigured,
)
from lastgood.model.host import AgentInfo, Host, Presence
from lastgood.model.job import Outcome, Run, RunKind, Schedule
from lastgood.model.repository import Repository, SnapshotPoint, SnapshotSeries
from lastgood.model.source import Source, State
from lastgood.store.codec import decoder, encode

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOLD = BEGAN + timedelta(days=1)
NOW = BEGAN + timedelta(days=1, hours=1)


@dataclass(frozen=True)
class Result:
    """Times are of one piece; bytes are of values, indexes and told states together."""

    hosts: int
    sources: int
    bytes_total: int
    bytes_a_host: int
    bytes_a_source: int
    learn_us: float
    source_state_ns: float
    host_online_ns: float
    view_ms: float
    reindex_ms: float
    peak_rss_mb: int


def facts_of(number: int, sources: int) -> list[Fact]:
    host_id = _id("host", number)
    info = AgentInfo(agent_version="0.1.0", restic_version="0.18.0", os="linux", arch="amd64", protocol=1)
    host = Host(id=host_id, name=f"host-{number:06}", key=f"{number:043}=", enrolled_at=BEGAN, info=info)
    repository = Repository(
        id=_id("repository", number), name=f"vault-{number:06}", url=f"rest:https://vault/{number}", added_at=BEGAN
    )
    told: list[Fact] = [
        HostEnrolled(at=BEGAN, origin="bench", host=host),
        RepositoryConfigured(at=BEGAN, origin="bench", repository=repository),
    ]
    series = []
    for which in range(sources):
        source = _source(number, which, host, repository)
        told.append(SourceConfigured(at=BEGAN, origin="bench", source=source))
        run = _run(number, which, source)
        told.append(RunFinished(at=TOLD, origin="bench", run=run))
        point = SnapshotPoint(id=run.snapshot_id or "", started_at=run.started_at, ended_at=run.ended_at)
        series.append(
            SnapshotSeries(hostname=host.name, tags=(source.tag,), paths=source.paths, count=1, newest=(point,))
        )
    told.append(
        SnapshotsListed(
            at=TOLD, origin="bench", repository_id=repository.id, listed_at=TOLD, total=sources, series=tuple(series)
        )
    )
    return told


def _source(number: int, which: int, host: Host, repository: Repository) -> Source:
    return Source(
        id=_id("source", number * 100 + which),
        name=f"data-{which}",
        host_id=host.id,
        repository_id=repository.id,
        paths=(f"/srv/data-{which}",),
        restic_host=host.name,
        created_at=BEGAN,
        revised_at=BEGAN,
        schedule=Schedule(cron=f"{number % 60} {which % 6} * * *", zone="Europe/Berlin"),
    )


def _run(number: int, which: int, source: Source) -> Run:
    due_at = BEGAN + timedelta(hours=13 + which % 6, minutes=number % 60)
    ended_at = due_at + timedelta(seconds=60 + number % 1800, microseconds=number)
    return Run(
        id=_id("run", number * 100 + which),
        kind=RunKind.BACKUP,
        outcome=Outcome.SUCCESS,
        host_id=source.host_id,
        source_id=source.id,
        repository_id=source.repository_id,
        started_at=due_at,
        ended_at=ended_at,
        duration_seconds=60.5 + number % 1800,
        due_at=due_at,
        snapshot_id=f"{number * 100 + which:064x}",
        size_bytes=5_000_000_000 + number,
        added_bytes=12_000_000 + number,
        files=4_000 + number,
    )


def _id(kind: str, number: int) -> str:
    return ulid(BEGAN, kind.encode()[:4].ljust(4) + number.to_bytes(6, "big"))


def resident() -> int:
    """Bytes of memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def build(hosts: int, sources: int) -> tuple[Fleet, float, int]:
    """(fleet, microseconds a fact, bytes it weighs)."""
    fleet, spent, learned = Fleet(), 0.0, 0
    gc.collect()
    gc.freeze()
    before = resident()
    for begin in range(0, hosts, 1000):
        made = (facts_of(number, sources) for number in range(begin, min(begin + 1000, hosts)))
        chunk = [[decoder(type(fact))(encode(fact)) for fact in told] for told in made]
        began = time.perf_counter()
        for told in chunk:
            for fact in told:
                learn(fleet, fact)
                learned += 1
        spent += time.perf_counter() - began
    judging = fleet.judging
    for host_id in fleet.hosts:
        judging.presence[host_id] = Presence(connected=True, synced=True, seen_at=NOW, observed_at=NOW)
        judging.tell_online(host_id, host_online(fleet, host_id, NOW)[0])
    for source in fleet.sources.values():
        judging.states[source.id], _ = source_state(fleet, source, NOW)
    gc.collect()
    return fleet, spent / learned * 1e6, resident() - before


def timed(act: object, repeats: int = 5) -> float:
    """The best of some tries, in seconds."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        act()  # type: ignore[operator]
        best = min(best, time.perf_counter() - began)
    return best


def measure(hosts: int, sources: int) -> Result:
    fleet, learn_us, total = build(hosts, sources)
    count = len(fleet.sources)
    if set(fleet.judging.states.values()) != {State.GOOD}:
        raise SystemExit("The fleet is not what it was built to be: not every source is good.")

    def judge_all() -> None:
        for source in fleet.sources.values():
            source_state(fleet, source, NOW)

    def all_hosts() -> None:
        for host_id in fleet.hosts:
            host_online(fleet, host_id, NOW)

    return Result(
        hosts=hosts,
        sources=count,
        bytes_total=total,
        bytes_a_host=total // hosts,
        bytes_a_source=total // count,
        learn_us=round(learn_us, 2),
        source_state_ns=round(timed(judge_all) / count * 1e9),
        host_online_ns=round(timed(all_hosts) / hosts * 1e9),
        view_ms=round(timed(fleet.view) * 1e3, 1),
        reindex_ms=round(timed(fleet.reindex, 2) * 1e3, 1),
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--sources", type=int, default=3, help="of each host")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    result = asdict(measure(asked.hosts, asked.sources))
    if asked.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:18} {value:>14,}")


if __name__ == "__main__":
    main()
