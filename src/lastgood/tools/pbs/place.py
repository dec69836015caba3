"""Where groups are, and what is held of one beside what is shown of it.

Comes in: what ``known.py`` learned. Goes out: the same. The one rule: namespaces lie in each other by whole steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lastgood.model.collected import CollectedSource
from lastgood.model.pbs import Group
from lastgood.model.repository import Habit
from lastgood.tools.pbs.groups import GroupKey, Mark
from lastgood.tools.pbs.tasks import Name

Place = tuple[str, str]
"""Datastore and namespace."""


@dataclass(slots=True)
class Known:
    """One group. ``rows`` is None before its snapshots were listed; ``mark`` what the list of groups told then,
    ``told`` what it tells now. ``is_stale``: its snapshots are to be listed; ``asked``: they are being listed, and
    this was told before."""

    group: Group
    told: Mark
    mark: Mark | None = None
    asked: Mark | None = None
    rows: int | None = None
    times: frozenset[int] = frozenset()
    habit: Habit | None = None
    misdated: frozenset[int] = frozenset()
    is_stale: bool = True
    source: CollectedSource | None = field(default=None, repr=False)

    @property
    def is_read(self) -> bool:
        return self.rows is not None and not self.is_stale and self.asked is None

    @property
    def name(self) -> Name:
        return name_of(self.key)

    @property
    def key(self) -> GroupKey:
        return self.group.store, self.group.namespace, self.group.type, self.group.backup_id


def name_of(key: GroupKey) -> Name:
    store, _, kind, backup_id = key
    return store, f"{kind}/{backup_id}"


def is_within(namespace: str, parent: str) -> bool:
    return not parent or namespace == parent or namespace.startswith(f"{parent}/")
