"""The kinds of things that rows stand on, in the order of their rows, and how moments and ids become values.

Comes in: a frozen view of the fleet. Goes out: sorted ids for the writer. The one rule: the order follows from the
ids alone, so two bodies of one moment are the same bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lastgood.fleet.durations import LABELS
from lastgood.fleet.fleet import FleetView
from lastgood.metrics.family import Entity
from lastgood.metrics.own_facts import OwnFacts
from lastgood.model.alert import Severity

HUB: Entity[Any] = Entity("hub", lambda _moment: ("",))
"""The one thing that stands for the whole; its id is empty."""

HOST: Entity[FleetView] = Entity("host", lambda view: sorted(view.hosts))
SOURCE: Entity[FleetView] = Entity("source", lambda view: sorted(view.sources))
REPOSITORY: Entity[FleetView] = Entity("repository", lambda view: sorted(view.repositories))
SEVERITY: Entity[FleetView] = Entity("severity", lambda _view: sorted(Severity))
COLLECTOR: Entity[OwnFacts] = Entity("collector", lambda facts: sorted(facts.collectors))

RUNS = {f"{kind}/{status}": (kind, status) for kind, status in sorted(LABELS)}
"""Every kind of run with every way to end; their histograms exist from the start."""

ENDED_RUNS: Entity[FleetView] = Entity("ended_runs", lambda _view: tuple(RUNS))


def epoch(at: datetime | None) -> int | None:
    """A moment as whole seconds since 1970; None stays None."""
    return None if at is None else int(at.timestamp())
