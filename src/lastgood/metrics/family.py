"""What a metric family is: one table row of a vocabulary, with the rules its names must keep.

A family stands on one kind of entity (host, source, repository ...) and has at most one row an entity; what needs
more rows stands on a finer entity. It reads a frozen moment ``V`` by two small functions, so a writer may render
everything anew or only the rows of what changed. The one rule: what was published (name, type, labels) is a promise.
Names follow the Prometheus text format 0.0.4 and OpenMetrics 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

V = TypeVar("V")
"""The moment a family reads: a ``FleetView``, or ``OwnFacts``."""

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_RESERVED_LABELS = frozenset({"le", "quantile", "__name__"})


class Type(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Histogram(NamedTuple):
    """One label set of a histogram: the count of each bucket alone, the last for +Inf, and the sum."""

    counts: Sequence[int]
    sum: float


Value = int | float | Histogram | None
"""None is an absent row: unknown is never told as zero."""


@dataclass(frozen=True, slots=True)
class Entity(Generic[V]):
    """A kind of thing that rows stand on; ``ids`` gives all of them, in the order of their rows.

    ``things`` is set for kinds that come and go in large numbers, and gives them by id without sorting: their rows
    are kept in parts and spread over shards. The rows of other kinds are few, and stand in shard 0.
    """

    kind: str
    ids: Callable[[V], Sequence[str]]
    things: Callable[[V], Mapping[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class Instant:
    """What moves without anybody telling: the clock, who was heard and which repository was seen when.

    The one moment of a whole page.
    """

    at: datetime
    seconds: int
    presence: Mapping[str, Any]
    repository_evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aged(Generic[V]):
    """A value that changes with the clock: ``base`` is kept with the row, ``told`` makes the value of it.

    A base of None is an absent row. ``base`` reads the moment like any value; ``told`` reads nothing but the instant.
    """

    base: Callable[[V, str], object]
    told: Callable[[Instant, Any], int | Histogram | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[V]):
    """One family. ``name`` is that of its samples, so a counter's ends in ``_total``.

    ``reads`` names the other kinds whose change touches its rows. Families with the same ``labels`` function share
    the text of their labels; those named in ``optional`` are left out where they are empty, which means the same.
    ``bounds`` are a histogram's upper bounds, without +Inf. A family whose values change with the clock says by
    ``aged`` how; its ``value`` then says the same for a frozen moment.
    """

    name: str
    help: str
    entity: Entity[V]
    value: Callable[[V, str], Value]
    type: Type = Type.GAUGE
    label_names: tuple[str, ...] = ()
    labels: Callable[[V, str], tuple[str, ...]] | None = None
    optional: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    aged: Aged[V] | None = None

    def __post_init__(self) -> None:
        fault = next(_faults(self), None)
        if fault is not None:
            raise ValueError(f"the metric family {self.name!r} {fault}")

    @property
    def base_name(self) -> str:
        """The name of the TYPE line in OpenMetrics, where a counter's lacks ``_total``."""
        return self.name.removesuffix("_total") if self.type is Type.COUNTER else self.name

    @property
    def sample_names(self) -> tuple[str, ...]:
        if self.type is Type.HISTOGRAM:
            return (f"{self.name}_bucket", f"{self.name}_count", f"{self.name}_sum")
        return (self.name,)


def _faults(family: Family[V]) -> Iterator[str]:
    if not _NAME.fullmatch(family.name):
        yield "has a name that Prometheus does not take; use letters, digits and underscores"
    if family.type is Type.COUNTER and not family.name.endswith("_total"):
        yield "is a counter and must end in _total"
    if not family.help.strip() or "\n" in family.help:
        yield "needs a help text of one line"
    if (family.labels is None) != (not family.label_names):
        yield "needs label names and a labels function, or neither"
    if len(set(family.label_names)) != len(family.label_names):
        yield "names a label twice"
    if not set(family.optional) <= set(family.label_names):
        yield "has an optional label that it does not have"
    for label in family.label_names:
        if not _NAME.fullmatch(label) or label in _RESERVED_LABELS:
            yield f"has the label {label!r}, which is reserved or no label name"
    if (family.type is Type.HISTOGRAM) != bool(family.bounds):
        yield "needs bounds if it is a histogram, and none otherwise"
    if any(low >= high for low, high in pairwise(family.bounds)):
        yield "needs bounds that ascend"


def refuse_clashes(families: Iterable[Family[V]]) -> None:
    """Raise ValueError if two families would publish one name, as samples or on TYPE lines of either format."""
    owners: dict[str, str] = {}
    for family in families:
        for name in {family.name, family.base_name, *family.sample_names}:
            if name in owners:
                raise ValueError(f"the metric families {owners[name]!r} and {family.name!r} both publish {name!r}")
            owners[name] = family.name
