"""The kinds of things that rows stand on, in the order of their rows, and how moments and ids become values.

Comes in: a frozen view of the fleet. Goes out: sorted ids for the writer. The one rule: the order follows from the
ids alone, so two bodies of one moment are the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from lastgood.fleet.changes import Changes
from lastgood.fleet.coverage import touched
from lastgood.fleet.durations import LABELS
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.upkeep import TASKS
from lastgood.metrics.family import Aged, Entity, Instant, Value
from lastgood.metrics.own_facts import OwnFacts
from lastgood.model.alert import Severity
from lastgood.model.docker import ContainerState, StackState

SYNC = "sync"
"""A copy of a repository, which is no run of ours."""

FORMATS = ("openmetrics", "text")
ENCODINGS = ("gzip", "identity")

HUB: Entity[Any] = Entity("hub", lambda _moment: ("",))
"""The one thing that stands for the whole; its id is empty."""

HOST: Entity[FleetView] = Entity("host", lambda view: sorted(view.hosts), lambda view: view.hosts)
SOURCE: Entity[FleetView] = Entity("source", lambda view: sorted(view.sources), lambda view: view.sources)
REPOSITORY: Entity[FleetView] = Entity(
    "repository", lambda view: sorted(view.repositories), lambda view: view.repositories
)


DOCKER: Entity[FleetView] = Entity("docker", lambda view: sorted(view.docker), lambda view: view.docker)
"""Hosts with a container engine, by the id of the host."""


class _Pairs(Mapping[str, object]):
    """``thing/word`` for every thing of a mapping and every word."""

    def __init__(self, things: Mapping[str, object], words: tuple[str, ...]) -> None:
        self._things, self._words = things, words

    def __getitem__(self, key: str) -> object:
        thing_id, _, word = key.rpartition("/")
        if word not in self._words:
            raise KeyError(key)
        return self._things[thing_id]

    def __iter__(self) -> Iterator[str]:
        for thing_id in self._things:
            yield from (f"{thing_id}/{word}" for word in self._words)

    def __len__(self) -> int:
        return len(self._things) * len(self._words)


def _paired(
    kind: str, things: Callable[[FleetView], Mapping[str, object]], words: Iterable[str]
) -> Entity[FleetView]:
    told = tuple(words)
    return Entity(kind, lambda view: sorted(_Pairs(things(view), told)), lambda view: _Pairs(things(view), told))


CONTAINERS = _paired("host and container state", lambda view: view.docker_counts, ContainerState)
STACKS = _paired("host and stack state", lambda view: view.docker_counts, StackState)
"""Of hosts of whose engine something is known: others cost nothing."""

RESULTS = ("error", "ok")
DEPLOYED = _paired("stack and result", lambda view: view.deployed_hosts, RESULTS)
"""Stacks by their name alone, whatever hosts they are on."""


class _Upkeep(Mapping[str, object]):
    """``repository/task`` for every kind of upkeep that ever went well there."""

    def __init__(self, view: FleetView) -> None:
        self._view = view

    def __getitem__(self, key: str) -> datetime:
        repository_id, _, task = key.partition("/")
        if repository_id in self._view.repositories:
            evidence = self._view.repository_evidence_of(repository_id)
            if task == SYNC and evidence.synced_at is not None:
                return evidence.synced_at
            for kind, at in evidence.upkeep:
                if kind == task:
                    return at
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for repository_id in self._view.repositories:
            evidence = self._view.repository_evidence_of(repository_id)
            for kind, _ in evidence.upkeep:
                yield f"{repository_id}/{kind}"
            if evidence.synced_at is not None:
                yield f"{repository_id}/{SYNC}"

    def __len__(self) -> int:
        return sum(1 for _ in self)


UPKEEP: Entity[FleetView] = Entity("upkeep", lambda view: sorted(_Upkeep(view)), _Upkeep)


def upkeep_of(repository_ids: Iterable[str]) -> list[str]:
    """The ids of all upkeep of these repositories, whether there is any."""
    return [f"{repository_id}/{task}" for repository_id in repository_ids for task in (*TASKS, SYNC)]


def rows_touched(moment: Any, changes: Changes) -> Iterator[tuple[str, Iterable[str]]]:
    """The kinds of which some have rows of their own, with the ids of those that may be told otherwise now."""
    yield HOST.kind, changes.hosts
    yield SOURCE.kind, changes.sources
    yield REPOSITORY.kind, changes.repositories
    yield UPKEEP.kind, upkeep_of(changes.repositories)
    yield DOCKER.kind, touched(moment, changes)
    counted = changes.docker | {host_id for host_id, _ in changes.stacks}
    counted |= changes.hosts & moment.docker_counts.keys()
    yield CONTAINERS.kind, [f"{host_id}/{state}" for host_id in counted for state in ContainerState]
    yield STACKS.kind, [f"{host_id}/{state}" for host_id in counted for state in StackState]
    yield DEPLOYED.kind, [f"{project}/{result}" for _, project in changes.stacks for result in RESULTS]


HOST_STATUS: Entity[FleetView] = Entity("status", lambda _view: ("degraded", "offline", "online"))
SEVERITY: Entity[FleetView] = Entity("severity", lambda _view: sorted(Severity))
COLLECTOR: Entity[OwnFacts] = Entity("collector", lambda facts: sorted(facts.collectors))

ACTION: Entity[OwnFacts] = Entity(
    "action", lambda facts: () if facts.audit is None else tuple(sorted(facts.audit.entries))
)
"""What the audit log knows to be done."""

REQUEST: Entity[OwnFacts] = Entity("method, path and status", lambda facts: sorted(facts.requests or ()))
FIRED: Entity[OwnFacts] = Entity("severity and rule", lambda facts: sorted(facts.alerts_fired or ()))

CHANNEL: Entity[OwnFacts] = Entity("channel", lambda facts: sorted(facts.channels))

ANSWERS = {f"{format_}/{encoding}": (format_, encoding) for format_ in FORMATS for encoding in ENCODINGS}
"""Every way to send a page."""

ANSWER: Entity[OwnFacts] = Entity("answer", lambda _facts: tuple(ANSWERS))

RUNS = {f"{kind}/{status}": (kind, status) for kind, status in sorted(LABELS)}
"""Every kind of run with every way to end; their histograms exist from the start."""

ENDED_RUNS: Entity[FleetView] = Entity("ended_runs", lambda _view: tuple(RUNS))


def instant(view: FleetView) -> Instant | None:
    """The instant of a moment; None before the first evaluation."""
    at = view.evaluated_at
    return None if at is None else Instant(at, int(at.timestamp()), view.presence, view.repository_evidence)


def aged_value(aged: Aged[FleetView]) -> Callable[[FleetView, str], Value]:
    """The value of an aged family in a frozen view."""

    def value(view: FleetView, thing_id: str) -> Value:
        now, base = instant(view), aged.base(view, thing_id)
        return None if now is None or base is None else aged.told(now, base)

    return value


def epoch(at: datetime | None) -> int | None:
    """A moment as whole seconds since 1970; None stays None."""
    return None if at is None else int(at.timestamp())
