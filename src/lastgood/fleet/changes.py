"""What learning a fact answers: the ids it touched, or why it cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lastgood.errors import LastgoodError
from lastgood.fleet.ledger import LedgerRow
from lastgood.model.alert import AlertKey
from lastgood.model.stack import StackKey

_T = TypeVar("_T")


class Unlearnable(LastgoodError):
    """A fact that says something about nothing we know, or twice; it goes to quarantine and stops nothing."""


@dataclass(slots=True)
class Changes:
    """What a fact touched, by id; removed things are in it too. Runs are told by ``hosts`` and ``sources``."""

    hosts: set[str] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    alerts: set[AlertKey] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    """Sources that a look made, changed or ended; whose evidence alone it changed are in ``sources`` only."""
    deploys: set[str] = field(default_factory=set)
    stacks: set[StackKey] = field(default_factory=set)
    """Stacks whose deploys began, ended or were forgotten."""
    docker: set[str] = field(default_factory=set)
    """Hosts of whose container engine something else is known."""
    marked: set[str] = field(default_factory=set)
    """Repositories of which a look spoke for every source; those whose state that may change are not listed."""
    moments: list[LedgerRow] = field(default_factory=list)
    orders: set[str] = field(default_factory=set)
    """Hosts whose agents may have to be told something new."""


def known(things: Mapping[str, _T], thing_id: str, noun: str) -> _T:
    """The thing of this id; raises Unlearnable for one that is not there."""
    thing = things.get(thing_id)
    if thing is None:
        raise Unlearnable(f"There is no {noun} {thing_id}.")
    return thing
