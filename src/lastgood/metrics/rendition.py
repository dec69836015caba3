"""What collectors drew, written: the rows of every family that stands on pictures, kept between two renditions.

Comes in: all pictures as they are now. Goes out: a ``Rendition``, which is whole, immutable, and speaks of one moment
of them. The one rule: its text is byte for byte what ``metrics/text.py`` makes of the same pictures. A writer is
owned by one thread; only rows of things that are no longer the same are read and written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lastgood.metrics.family import Entity, Family, Instant, Type
from lastgood.metrics.pack import PACKER, Packer, Piece
from lastgood.metrics.parts import Columns, Parts
from lastgood.metrics.reading import Few
from lastgood.metrics.text import Format, label_text, rows, whole
from lastgood.metrics.vocabulary import Collected, Vocabulary

ROWS_A_PART = 128
"""Pictures come at their own pace and not at that of scrapes: fewer, larger parts than those of a fleet."""

_NOTHING: Few = {}


@dataclass(frozen=True, slots=True)
class Rendition:
    """All rows by family, the same text in both formats; ``moving`` are rows whose values need the clock."""

    pieces: Mapping[str, Piece] = field(default_factory=dict)
    moving: Mapping[str, Few] = field(default_factory=dict)

    def __contains__(self, family: Family[Any]) -> bool:
        return family.name in self.pieces or family.name in self.moving

    def told(self, family: Family[Any], now: Instant, format_: Format) -> bytes:
        """A family that needs the clock, metadata lines and all."""
        assert family.aged is not None
        told, held = family.aged.told, self.moving[family.name]
        return whole(_still(family, lambda known, row: told(now, known[row][1])), held, format_)


EMPTY = Rendition()


class Writer:
    """Writes one rendition after the other."""

    def __init__(
        self, vocabularies: Iterable[Vocabulary], packer: Packer = PACKER, rows_a_part: int = ROWS_A_PART
    ) -> None:
        self._writers = [
            _Collection(vocabulary.collected, packer, rows_a_part)
            for vocabulary in vocabularies
            if vocabulary.collected is not None
        ]

    def write(self, pictures: Mapping[str, object]) -> Rendition:
        """The pictures by the name of their collector; None for one that has none yet."""
        pieces: dict[str, Piece] = {}
        moving: dict[str, Few] = {}
        for writer in self._writers:
            if writer.gather(pictures):
                pieces.update(writer.pieces())
                moving.update(writer.moving())
        return Rendition(pieces, moving)


class _Collection:
    """The families of one vocabulary."""

    def __init__(self, collected: Collected, packer: Packer, rows_a_part: int) -> None:
        self._collected, self._packer = collected, packer
        many: dict[str, list[Family[Any]]] = {}
        for family in collected.families:
            if family.type is Type.HISTOGRAM or (family.aged and family.entity.things):
                raise ValueError(f"the metric family {family.name!r} is of a kind that no picture can tell")
            if family.entity.things is not None:
                many.setdefault(family.entity.kind, []).append(family)
        self._columns = {kind: Columns(families) for kind, families in many.items()}
        self._parts = {kind: Parts(columns, packer, rows_a_part) for kind, columns in self._columns.items()}
        self._few = [family for family in collected.families if family.entity.things is None]
        self._moment: Any = None
        self._told: dict[str, Few] = {}
        self._pieces: dict[str, Piece] = {}

    def gather(self, pictures: Mapping[str, object]) -> bool:
        """Take the pictures in; False if none is of this vocabulary."""
        before, self._moment = self._moment, self._collected.gather(pictures, self._moment)
        if self._moment is None:
            return False
        for kind, columns in self._columns.items():
            self._update(columns, self._parts[kind], before)
        for family in self._few:
            told = _few(family, self._moment)
            if self._told.get(family.name) != told:
                self._told[family.name] = told
                if family.aged is None:
                    still = _still(family, lambda known, row: known[row][1])
                    self._pieces[family.name] = self._packer.piece(_rows(still, told))
        return True

    def _update(self, columns: Columns, parts: Parts, before: Any) -> None:
        things = columns.families[0].entity.things
        assert things is not None
        held, known = things(self._moment), things(before) if before is not None else {}
        if held is known:
            return
        for thing_id in [thing_id for thing_id in known if thing_id not in held]:
            parts.put(thing_id, None)
        # Most things are the very objects that they were: a thing that is equal has the same rows.
        changed = [i for i, thing in held.items() if known.get(i) is not thing and known.get(i) != thing]
        for thing_id in sorted(changed):
            parts.put(thing_id, columns.read(self._moment, thing_id))
        parts.refresh()

    def pieces(self) -> dict[str, Piece]:
        many = {
            family.name: self._parts[kind].segment(at)
            for kind, columns in self._columns.items()
            for at, family in enumerate(columns.families)
        }
        return {**many, **self._pieces}

    def moving(self) -> dict[str, Few]:
        return {family.name: self._told[family.name] for family in self._few if family.aged is not None}


def _few(family: Family[Any], moment: Any) -> Few:
    labels, value = family.labels, family.value if family.aged is None else family.aged.base
    found: dict[str, Any] = {}
    for thing_id in family.entity.ids(moment):
        known = value(moment, thing_id)
        if known is not None:
            found[thing_id] = (() if labels is None else labels(moment, thing_id), known)
    return found


def _still(family: Family[Any], value: Any) -> Family[Any]:
    """The same family, to be read from rows that were taken."""
    return replace(
        family,
        entity=Entity(family.entity.kind, tuple),
        labels=None if family.labels is None else lambda known, row: known[row][0],
        value=value,
        aged=None,
    )


def _rows(family: Family[Any], held: Few) -> bytes:
    names, optional = family.label_names, family.optional
    labels = ["" if family.labels is None else label_text(names, held[row][0], optional) for row in held]
    return rows(family, held, tuple(held), labels, Format.TEXT).encode()
