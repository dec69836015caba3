"""The kinds of things that rows stand on, in the order of their rows, and how moments and ids become values.

Comes in: a frozen view of the fleet. Goes out: sorted ids for the writer. The one rule: the order follows from the
ids alone, so two bodies of one moment are the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from lastgood.fleet.durations import LABELS
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.upkeep import TASKS
from lastgood.metrics.family import Aged, Entity, Instant, Value
from lastgood.metrics.own_facts import OwnFacts
from lastgood.model.alert import Severity

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


SEVERITY: Entity[FleetView] = Entity("severity", lambda _view: sorted(Severity))
COLLECTOR: Entity[OwnFacts] = Entity("collector", lambda facts: sorted(facts.collectors))

ACTION: Entity[OwnFacts] = Entity(
    "action", lambda facts: () if facts.audit is None else tuple(sorted(facts.audit.entries))
)
"""What the audit log knows to be done."""

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
