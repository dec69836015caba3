"""Facts for property tests: any fact whatever (``any_fact``), and stories of a small fleet (``stories``).

``any_fact`` fills each field with all that its type allows; ``stories`` are facts that mostly make sense together, so
that much is learned from them, with some that cannot be learned. ``knowledge`` is all that must be the same of two
fleets that were told the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Unlearnable, learn
from lastgood.fleet.rhythm import habit_of
from lastgood.model import fact
from lastgood.model.collected import Attempt, CollectedRepository, CollectedSource
from lastgood.model.docker import EngineState
from lastgood.model.host import AgentInfo
from lastgood.model.job import Outcome, RunKind, Schedule
from lastgood.model.repository import HUB, Lock, Probe, SnapshotPoint, SnapshotSeries
from lastgood.model.source import DueMoment, Source
from lastgood.model.stack import Deploy, DeployStart, StackAction
from tests.builders import NOW, a_host, a_repository, a_run, a_run_start, a_source, an_alert
from tests.dock import a_bind, a_container, an_engine, an_inventory, listed

TEXT = st.text(st.characters(exclude_categories=[]), max_size=12)
"""Any text, lone surrogates included: file names can hold them."""

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(0, 2**63 - 1),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    NoneType: st.none(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    timedelta: st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Everything that a field of this type may hold."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if get_origin(hint) in (Union, UnionType):
        return st.one_of([values_of(part) for part in get_args(hint)])
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if parts[-1] is Ellipsis:
            return st.lists(values_of(parts[0]), max_size=3).map(tuple)
        return st.tuples(*map(values_of, parts))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    assert is_dataclass(hint), hint
    return objects_of(hint)


def objects_of(kind: Any) -> st.SearchStrategy[Any]:
    """Every value of a dataclass; fields with a default may be left out."""
    hints = get_type_hints(kind)
    required = {f.name: values_of(hints[f.name]) for f in fields(kind) if f.default is MISSING}
    optional = {f.name: values_of(hints[f.name]) for f in fields(kind) if f.default is not MISSING}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: kind(**given))


def any_fact() -> st.SearchStrategy[fact.Fact]:
    return st.sampled_from(fact.FACTS).flatmap(objects_of)


# --- stories -----------------------------------------------------------------------------------------------------

HOSTS = [a_host("web-1"), a_host("web-2")]
REPOSITORIES = [a_repository("vault"), a_repository("attic", watched_by=HUB)]
SOURCES = [
    a_source("home", HOSTS[0], REPOSITORIES[0]),
    a_source("etc", HOSTS[0], REPOSITORIES[1], target=timedelta(hours=26), schedule=None),
    a_source("srv", HOSTS[1], REPOSITORIES[0], accept_partial=True),
]
ALERTS = [an_alert("backup_failed", source=SOURCES[0]), an_alert("backup_missed", source=SOURCES[2])]
_AT = {"at": NOW, "origin": "test"}

BEGINNING: tuple[fact.Fact, ...] = (
    *(fact.HostEnrolled(**_AT, host=host) for host in HOSTS),
    *(fact.RepositoryConfigured(**_AT, repository=repository) for repository in REPOSITORIES),
    *(fact.SourceConfigured(**_AT, source=source) for source in SOURCES),
)


def _source(which: int) -> Source:
    return SOURCES[which]


_sources = st.integers(0, 2).map(_source)
"""By number: a strategy is printed with all that it may give, and that has a limit."""

_moments = st.integers(0, 60).map(lambda hours: NOW + timedelta(hours=hours))
_runs = st.builds(
    lambda source, ended_at, outcome, kind, dry: a_run(
        source,
        ended_at,
        outcome,
        kind=kind,
        dry_run=dry,
        cause="damaged" if kind is RunKind.CHECK and outcome is Outcome.FAILED else None,
    ),
    _sources,
    _moments,
    st.sampled_from(Outcome),
    st.sampled_from([RunKind.BACKUP, RunKind.BACKUP, RunKind.BACKUP, RunKind.INIT, RunKind.CHECK, RunKind.FORGET]),
    st.sampled_from([False, False, False, True]),
)
_starts = st.builds(a_run_start, _sources, _moments)


def _survey(which: int, listed_at: datetime, ids: Sequence[str]) -> fact.SnapshotsListed:
    source = SOURCES[which]
    points = tuple(SnapshotPoint(id=name, started_at=listed_at - timedelta(hours=3)) for name in ids)
    series = SnapshotSeries(
        hostname=source.restic_host, tags=(source.tag,), paths=source.paths, count=len(points), newest=points
    )
    return fact.SnapshotsListed(
        **_AT, repository_id=source.repository_id, listed_at=listed_at, total=len(points), series=(series,)
    )


def _look(listed_at: datetime, hosts: Sequence[str], nights: int, truncated: bool = False) -> fact.SnapshotsListed:
    """What a watched repository holds that no agent of ours made: a nightly series of each host."""
    last = listed_at.replace(hour=2, minute=0)
    points = tuple(
        SnapshotPoint(id=f"{int((last - timedelta(days=n)).timestamp()):032x}", started_at=last - timedelta(days=n))
        for n in range(nights)
    )
    series = tuple(
        SnapshotSeries(hostname=host, tags=(), paths=("/data",), count=nights, newest=points)
        for host in dict.fromkeys(hosts)
    )
    return fact.SnapshotsListed(
        **_AT,
        repository_id=REPOSITORIES[1].id,
        listed_at=listed_at,
        total=nights * len(series),
        series=series,
        truncated=truncated,
    )


def _passed(which: int, due_at: datetime, looked: bool) -> fact.MomentsPassed:
    moment = DueMoment(
        source_id=SOURCES[which].id, due_at=due_at, deadline_at=due_at + timedelta(hours=6), looked=looked
    )
    return fact.MomentsPassed(**_AT, moments=(moment,))


FOUND_ON = ("nas", "web-1", "laptop")


@cache
def _found(on: str) -> Source:
    """The source that a look finds there."""
    fleet = fold([*BEGINNING, _look(NOW, [on], 3)])
    return next(source for source in fleet.sources.values() if source.is_found)


_found_sources = st.sampled_from(FOUND_ON).map(_found)
_INFO = AgentInfo(agent_version="1", restic_version="0.14.0", os="linux", arch="amd64", protocol=1)
_LOCK = Lock(id="l", created_at=None, exclusive=True, hostname="web-1", pid=7)
_repository_ids = st.sampled_from([repository.id for repository in REPOSITORIES])
_ordinary = st.one_of(
    _runs.map(lambda run: fact.RunFinished(**_AT, run=run)),
    _starts.map(lambda run: fact.RunStarted(**_AT, run=run)),
    st.builds(_survey, st.integers(0, 2), _moments, st.lists(st.text("abcdef", min_size=8, max_size=8), max_size=2)),
    st.builds(
        _look,
        _moments,
        st.lists(st.sampled_from(FOUND_ON), max_size=3),
        st.integers(1, 5),
        st.sampled_from([False, False, True]),
    ),
    st.builds(_passed, st.integers(0, 2), st.just(datetime(2026, 3, 15, 1, tzinfo=UTC)), st.booleans()),
    st.builds(
        lambda repository_id, probe, at: fact.RepositoryProbed(
            **_AT, repository_id=repository_id, probe=probe, probed_at=at
        ),
        _repository_ids,
        st.sampled_from(Probe),
        _moments,
    ),
    st.builds(
        lambda repository_id, at: fact.RepositorySized(
            **_AT, repository_id=repository_id, sized_at=at, size_bytes=2**40
        ),
        _repository_ids,
        _moments,
    ),
    st.builds(
        lambda repository_id, at: fact.LocksListed(**_AT, repository_id=repository_id, listed_at=at, locks=(_LOCK,)),
        _repository_ids,
        _moments,
    ),
    st.sampled_from(ALERTS).map(lambda alert: fact.AlertOpened(**_AT, alert=alert)),
    st.sampled_from(ALERTS).map(
        lambda alert: fact.AlertResolved(**_AT, alert_id=alert.id, key=alert.key, reason="it is over")
    ),
    st.builds(
        lambda alert, until: fact.AlertSnoozed(**_AT, alert_id=alert.id, key=alert.key, until=until, by="ann"),
        st.sampled_from(ALERTS),
        st.none() | _moments,
    ),
    st.sampled_from(ALERTS).map(
        lambda alert: fact.AlertAcknowledged(**_AT, alert_id=alert.id, key=alert.key, by="ann")
    ),
)
STORE = "store"
_GROUPS = ("vm/100", "ct/101", "host/nas")


def _attempt(outcome: Outcome, ended_at: datetime, cause: str | None = None) -> Attempt:
    made_one = outcome in (Outcome.SUCCESS, Outcome.UNCHANGED, Outcome.PARTIAL) or cause is not None
    return Attempt(
        id=f"{outcome}-{ended_at.timestamp():.0f}",
        outcome=outcome,
        started_at=ended_at - timedelta(minutes=5),
        ended_at=ended_at,
        snapshot_id=f"{ended_at:%Y-%m-%dT%H}" if made_one else None,
        cause=cause,
    )


_attempts = st.builds(_attempt, st.sampled_from(Outcome), _moments, st.sampled_from([None, None, "verification"]))
_good_attempts = st.builds(_attempt, st.sampled_from([Outcome.SUCCESS, Outcome.UNCHANGED]), _moments)
_partial_attempts = st.builds(_attempt, st.just(Outcome.PARTIAL), _moments)
_collected_sources = st.builds(
    CollectedSource,
    id=st.sampled_from(_GROUPS),
    name=st.sampled_from(["mail", "web"]),
    host=st.just("pbs-1"),
    newest=st.none() | _attempts,
    good=st.none() | _good_attempts,
    partial=st.none() | _partial_attempts,
    snapshots=st.none() | st.integers(0, 9),
    verified_at=st.none() | _moments,
    running_since=st.none() | _moments,
    schedule=st.sampled_from([None, Schedule(cron="0 2 * * *"), Schedule(cron="whenever")]),
    interval=st.sampled_from([None, timedelta(hours=6)]),
    target=st.sampled_from([None, timedelta(hours=26), timedelta()]),
    habit=st.none() | st.builds(lambda at: habit_of(at - timedelta(days=n) for n in range(4)), _moments),
    remarks=st.sampled_from([(), ("Something is odd.",)]),
    archived=st.booleans(),
)
_collected = st.one_of(
    st.builds(
        lambda at, probe, used: fact.RepositoryCollected(
            **_AT,
            collector="pbs",
            report=CollectedRepository(
                id=STORE,
                name="main",
                url="pbs://pbs-1:8007/main",
                tool="pbs",
                observed_at=at,
                probe=probe,
                used_bytes=used,
            ),
            watch_seconds=300,
        ),
        _moments,
        st.sampled_from(Probe),
        st.none() | st.integers(0, 2**40),
    ),
    st.builds(
        lambda at, sources, seen, gone, dropped, whole: fact.SourcesCollected(
            **_AT,
            repository_id=STORE,
            listed_at=at,
            sources=tuple({one.id: one for one in sources}.values()),
            seen=tuple(seen),
            gone=tuple(gone),
            dropped=tuple(dropped),
            whole=whole,
        ),
        _moments,
        st.lists(_collected_sources, max_size=3),
        *(st.lists(st.sampled_from(_GROUPS), max_size=1) for _ in range(3)),
        st.booleans(),
    ),
    st.just(fact.RepositoryRemoved(**_AT, repository_id=STORE)),
)
_deploys = st.builds(
    lambda host, number, action, outcome, touched, ended_at: Deploy(
        id=f"deploy-{number}",
        action=action,
        outcome=outcome,
        host_id=host.id,
        project="shop" if number % 2 else "blog",
        started_at=ended_at - timedelta(seconds=number),
        ended_at=ended_at,
        duration_seconds=float(number),
        touched=touched,
    ),
    st.sampled_from(HOSTS),
    st.integers(0, 8),
    st.sampled_from(StackAction),
    st.sampled_from([Outcome.SUCCESS, Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED]),
    st.booleans(),
    _moments,
)
_of_stacks = st.one_of(
    _deploys.map(lambda deploy: fact.DeployFinished(**_AT, deploy=deploy)),
    _deploys.map(
        lambda deploy: fact.DeployStarted(
            **_AT,
            deploy=DeployStart(
                id=deploy.id,
                action=deploy.action,
                host_id=deploy.host_id,
                project=deploy.project,
                started_at=deploy.started_at,
            ),
        )
    ),
    st.sampled_from(HOSTS).map(lambda host: fact.StackForgotten(**_AT, host_id=host.id, project="shop")),
)
_binds = st.lists(st.sampled_from(["/home", "/srv/shop", "/etc/localtime"]), max_size=3, unique=True)
_of_docker = st.one_of(
    st.builds(
        lambda host, at, paths: listed(host, an_inventory(a_container("web", *map(a_bind, paths))), at),
        st.sampled_from(HOSTS),
        _moments,
        _binds,
    ),
    st.builds(
        lambda host, state: fact.EngineReported(
            **_AT, host_id=host.id, seen_at=NOW, engine=an_engine(state=state, message="It is away.")
        ),
        st.sampled_from(HOSTS),
        st.sampled_from(EngineState),
    ),
    st.builds(
        lambda host, path, reason: fact.SubjectExcluded(
            **_AT, host_id=host.id, subject=f"bind:{path}", reason=reason, by="ann"
        ),
        st.sampled_from(HOSTS),
        st.sampled_from(["/home", "/srv/shop"]),
        st.none() | st.just("scratch"),
    ),
)
_rare = st.one_of(
    _of_docker,
    _of_stacks,
    st.builds(
        lambda source, archived_by: fact.SourceConfigured(**_AT, source=replace(source, archived_by=archived_by)),
        _sources,
        st.sampled_from([None, "ann", "ann"]),
    ),
    _repository_ids.map(lambda repository_id: fact.RepositoryRemoved(**_AT, repository_id=repository_id)),
    st.builds(
        lambda source, muted, target: fact.SourceConfigured(
            **_AT, source=replace(source, archived_by=muted, target=target)
        ),
        _found_sources,
        st.sampled_from([None, "ann", "lastgood (silent when found)"]),
        st.sampled_from([None, timedelta(hours=26)]),
    ),
    st.builds(
        lambda child, owner: fact.SourceAdopted(**_AT, source_id=child.id, into_id=owner.id),
        _found_sources,
        st.one_of(_found_sources, _sources),
    ),
    st.sampled_from([None, HUB]).map(
        lambda by: fact.RepositoryConfigured(**_AT, repository=replace(REPOSITORIES[1], watched_by=by))
    ),
    st.builds(
        lambda host, name: fact.HostRenamed(**_AT, host_id=host.id, name=name),
        st.sampled_from(HOSTS),
        st.sampled_from(["db-1", "db-2", "WEB-1"]),
    ),
    st.sampled_from(HOSTS).map(lambda host: fact.AgentReported(**_AT, host_id=host.id, info=_INFO)),
    st.sampled_from(HOSTS).map(lambda host: fact.HostRemoved(**_AT, host_id=host.id)),
    st.sampled_from(BEGINNING),
    st.builds(
        lambda host, until: fact.HostSnoozed(**_AT, host_id=host.id, until=until, by="ann"),
        st.sampled_from(HOSTS),
        st.none() | _moments,
    ),
)


def stories(most: int = 40) -> st.SearchStrategy[list[fact.Fact]]:
    """Facts as they may come to a hub that was told the ``BEGINNING``."""
    return st.lists(st.one_of(_ordinary, _ordinary, _ordinary, _collected, _rare), max_size=most).map(
        lambda facts: [*BEGINNING, *facts]
    )


def fold(facts: Sequence[fact.Fact]) -> Fleet:
    """The fleet that these facts make, told in this order."""
    fleet = Fleet()
    for told in facts:
        try:
            learn(fleet, told)
        except Unlearnable:
            continue
    return fleet


def knowledge(fleet: Fleet) -> dict[str, Any]:
    """All that follows from the facts, for comparing fleets; an index without members is as good as none."""
    return {
        "hosts": fleet.hosts,
        "repositories": fleet.repositories,
        "sources": fleet.sources,
        "evidence": fleet.evidence,
        "repository_evidence": fleet.repository_evidence,
        "last_backups": fleet.last_backups,
        "running": fleet.running,
        "deploying": fleet.deploying,
        "deploys": fleet.deploys,
        "deployed_on_host": fleet.deployed_on_host,
        "deployed_hosts": fleet.deployed_hosts,
        "docker": fleet.docker,
        "subjects_of_host": fleet.subjects_of_host,
        "alerts": fleet.alerts,
        "buckets": fleet.durations.buckets,
        "sums": fleet.durations.sums,
        "counters": fleet.counters,
        "sources_of_host": {key: set(ids) for key, ids in fleet.sources_of_host.items() if ids},
        "watched_by_host": {key: set(ids) for key, ids in fleet.watched_by_host.items() if ids},
        "aliases_of_host": {key: set(ids) for key, ids in fleet.aliases_of_host.items() if ids},
        "sources_of_repository": {key: set(ids) for key, ids in fleet.sources_of_repository.items() if ids},
        "alerts_of_entity": {key: set(keys) for key, keys in fleet.alerts_of_entity.items() if keys},
        "open_alerts_of_host": fleet.open_alerts_of_host,
        "open_alerts": fleet.open_alerts,
        "host_ids_by_name": fleet.host_ids_by_name,
    }
