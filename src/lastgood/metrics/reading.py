"""What changed, read while it stands still: ids come in, rows as they are now go out, to be written elsewhere.

Lives on the thread that owns the fleet. ``changed`` notes ids, ``read`` reads so many rows that the thread is never
held for long, ``take`` hands over what was read. The one rule: what is handed over is immutable and speaks of one
moment, that of ``take``; a row that changes after it was read is read again before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lastgood.metrics.family import Family, Histogram, Value
from lastgood.metrics.parts import Columns, Row
from lastgood.metrics.vocabulary import Vocabulary

Stand = tuple[str, str]
"""A vocabulary and a kind of things: what has rows of its own."""

Few = dict[str, tuple[tuple[str, ...], Value]]
"""The rows of a family that has few: id -> label values and value."""


@dataclass(slots=True)
class Batch:
    """Rows as they are at one moment; None for what is gone. ``few`` are whole families by name."""

    rows: dict[Stand, dict[str, Row | None]] = field(default_factory=dict)
    few: dict[str, Few] = field(default_factory=dict)


def columns_of(vocabularies: Iterable[Vocabulary]) -> dict[Stand, Columns]:
    """The families with many rows, by what they stand on."""
    families: dict[Stand, list[Family[Any]]] = {}
    for vocabulary in vocabularies:
        for family in vocabulary.fleet:
            if family.entity.things is not None:
                families.setdefault((vocabulary.name, family.entity.kind), []).append(family)
    return {stand: Columns(held) for stand, held in families.items()}


class Reading:
    """The reader of one fleet for all vocabularies; one that nobody asked for yet costs nothing."""

    def __init__(self, vocabularies: Sequence[Vocabulary], columns: Mapping[Stand, Columns]) -> None:
        self._vocabularies = {vocabulary.name: vocabulary for vocabulary in vocabularies}
        self._columns = columns
        self._changed: dict[Stand, dict[str, None]] = {}
        self._of_kind: dict[str, list[dict[str, None]]] = {}
        self._few: list[Family[Any]] = []
        self._batch = Batch()
        self._stirred = False

    def begin(self, names: Iterable[str], moment: Any) -> None:
        """Make sure that these vocabularies are read, from now on; of new ones everything has changed."""
        begun = {name for name, _ in self._changed} | {family.name for family in self._few}
        for name in names:
            few = [family for family in self._vocabularies[name].fleet if family.entity.things is None]
            self._few.extend(family for family in few if family.name not in begun)
            for stand, columns in self._columns.items():
                if stand[0] == name and stand not in self._changed:
                    things = columns.families[0].entity.things
                    # Taken from the end, so that the parts fill in the order of ids.
                    self._changed[stand] = dict.fromkeys(reversed(list(things(moment)))) if things else {}
                    self._of_kind.setdefault(stand[1], []).append(self._changed[stand])

    def changed(self, kind: str, ids: Iterable[str]) -> None:
        """Something about these things may be told otherwise now; also for those that came or went."""
        for held in self._of_kind.get(kind, ()):
            held.update(dict.fromkeys(ids))

    def stir(self) -> None:
        """Something changed, whatever it is: families with few rows may be told otherwise."""
        self._stirred = True

    @property
    def is_current(self) -> bool:
        """Whether nothing has changed since everything was taken."""
        return not self._stirred and not self.behind

    @property
    def behind(self) -> int:
        """How many rows are still to be read."""
        return sum(map(len, self._changed.values()))

    def read(self, moment: Any, most: int) -> None:
        """Read some of what changed."""
        for stand, ids in self._changed.items():
            columns = self._columns[stand]
            rows = self._batch.rows.setdefault(stand, {})
            things = columns.families[0].entity.things
            held: Mapping[str, object] = things(moment) if things is not None else {}
            while ids and most > 0:
                thing_id, _ = ids.popitem()
                rows[thing_id] = columns.read(moment, thing_id) if thing_id in held else None
                most -= 1

    @property
    def held(self) -> int:
        """How many rows were read and not taken."""
        return sum(map(len, self._batch.rows.values()))

    def take_some(self) -> Batch:
        """What was read so far, of a fleet that goes on meanwhile: nothing to make a page of."""
        batch, self._batch = self._batch, Batch()
        return batch

    def take(self, moment: Any) -> Batch:
        """All that was read. To be called when nothing is behind, before anything changes again."""
        batch = self.take_some()
        self._stirred = False
        batch.few = {family.name: few(family, moment) for family in self._few}
        return batch


def few(family: Family[Any], moment: Any) -> Few:
    """A family that has few rows, whole."""
    labels = family.labels
    return {
        thing_id: (() if labels is None else labels(moment, thing_id), _still(family.value(moment, thing_id)))
        for thing_id in family.entity.ids(moment)
    }


def _still(value: Value) -> Value:
    """A value that stays as it is while the fleet goes on counting."""
    return Histogram(tuple(value.counts), value.sum) if isinstance(value, Histogram) else value
