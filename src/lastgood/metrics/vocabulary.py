"""A vocabulary: the families that belong together under one name, and the sections of a page made of some.

Comes in: a frozen view of the fleet and what the process knows of itself. Goes out: sections for ``metrics/text.py``.
The one rule: no two families of all vocabularies publish the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lastgood.fleet.fleet import FleetView
from lastgood.metrics.family import Family
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.text import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Families that read what collectors drew of servers of one kind.

    ``gather`` makes the one moment that they read of all pictures by name of collector (None: no picture yet), and
    of the moment before, whose parts it may use again; None where no collector is of this kind.
    """

    families: tuple[Family[Any], ...]
    gather: Callable[[Mapping[str, object], Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """``fleet`` families read a ``FleetView``, ``own`` families the process; ``purpose`` is for the documentation.

    ``fixed`` families read the process too, but only what never changes while it runs. ``collected`` ones read
    pictures; where nobody collects, nothing is told of them.
    """

    name: str
    purpose: str
    fleet: tuple[Family[FleetView], ...] = ()
    own: tuple[Family[OwnFacts], ...] = ()
    fixed: tuple[Family[OwnFacts], ...] = ()
    collected: Collected | None = None

    @property
    def families(self) -> tuple[Family[Any], ...]:
        drawn = () if self.collected is None else self.collected.families
        return tuple(sorted((*self.fleet, *self.own, *self.fixed, *drawn), key=lambda family: family.name))


def sections(vocabularies: Iterable[Vocabulary], view: FleetView, facts: OwnFacts) -> list[Section]:
    """The page that these vocabularies make of one moment."""
    chosen = list(vocabularies)
    return [
        Section([family for vocabulary in chosen for family in vocabulary.fleet], view),
        Section([family for vocabulary in chosen for family in (*vocabulary.own, *vocabulary.fixed)], facts),
    ]
