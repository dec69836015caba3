"""The rows of one kind of thing, kept as parts of some 24: what changed is made anew, all else is used again.

Comes in: one row at a time, as ``metrics/reading.py`` captured it. Goes out: one deflated segment a family. Rows
stand in the order of their ids whatever came first, so the text is that of ``metrics/text.py`` from nothing. Those
of histograms are kept twice, since each format spells their bounds in its own way. The one rule: a piece is thrown
away exactly when a line of it really differs. Owned by one thread.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import add
from typing import Any, NamedTuple

from lastgood.metrics.family import Family, Histogram, Instant, Type
from lastgood.metrics.pack import NOTHING, Packer, Piece, Strung
from lastgood.metrics.text import Format, bucket_rows, bucket_template, label_text, tail

ROWS_A_PART = 24
"""Fewer cost more bytes on the way, more cost more work for one changed line; measured at 100,000 hosts."""

PARTS_AT_ONCE = 16
"""What is made for one scrape alone is deflated in longer pieces."""

_SMALL = tuple(f" {number}\n" for number in range(2048))
"""Nearly all values are small; their tails are held once."""


class Row(NamedTuple):
    """What was read of one thing at one moment: label values for each group of families, and each family's value."""

    labels: tuple[tuple[str, ...], ...]
    values: tuple[Any, ...]


class Columns:
    """The families that stand on one kind, and how a row of them is read."""

    def __init__(self, families: Sequence[Family[Any]]) -> None:
        self.families = tuple(families)
        groups: dict[tuple[Any, tuple[str, ...], tuple[str, ...]], int] = {}
        self.group_of = tuple(groups.setdefault((f.labels, f.label_names, f.optional), len(groups)) for f in families)
        self.label_names = tuple(names for _, names, _ in groups)
        self.optional = tuple(optional for _, _, optional in groups)
        self._labels = tuple(labels for labels, _, _ in groups)
        self._values: tuple[Callable[[Any, str], Any], ...] = tuple(
            family.value if family.aged is None else family.aged.base for family in families
        )
        for family in families:
            if family.labels is None:
                raise ValueError(f"the metric family {family.name!r} cannot have a row for each {family.entity.kind}")

    def read(self, moment: Any, thing_id: str) -> Row:
        return Row(
            tuple([labels(moment, thing_id) for labels in self._labels]),
            tuple([value(moment, thing_id) for value in self._values]),
        )


@dataclass(eq=False, slots=True)
class _Part:
    """``tails`` hold what follows the labels on a line, None for an absent one; of aged families the base."""

    ids: list[str]
    labels: list[list[str]]
    tails: list[list[Any]]
    templates: list[bytes | None]


class Parts:
    """The rows of one kind in one shard."""

    def __init__(self, columns: Columns, packer: Packer, rows_a_part: int = ROWS_A_PART) -> None:
        self._columns, self._packer, self._most = columns, packer, rows_a_part
        self._names = [family.name for family in columns.families]
        self._aged = [family.aged for family in columns.families]
        self._buckets = [_buckets(family) for family in columns.families]
        self._parts: list[_Part] = []
        self._firsts: list[str] = []
        self._stale: dict[_Part, set[int]] = {}
        self._kept = {column for column, aged in enumerate(self._aged) if aged is None}
        """The columns of which pieces are kept; also what is stale of a part of which all is."""
        self._pieces = [{format_: Strung(packer) for format_ in held} for held in self._buckets]

    # --- rows come and go ---------------------------------------------------------------------------------------

    def put(self, thing_id: str, row: Row | None) -> None:
        """Take a row as it is now; None takes it away."""
        index = max(bisect_right(self._firsts, thing_id) - 1, 0)
        part = self._parts[index] if self._parts else None
        at = bisect_left(part.ids, thing_id) if part is not None else 0
        if part is not None and at < len(part.ids) and part.ids[at] == thing_id:
            if row is None:
                self._remove(index, at)
            else:
                self._update(part, at, row)
        elif row is not None:
            self._insert(index, at, thing_id, row)

    def _update(self, part: _Part, at: int, row: Row) -> None:
        texts = self._label_texts(row)
        moved = [held[at] != text for held, text in zip(part.labels, texts, strict=True)]
        for held, text in zip(part.labels, texts, strict=True):
            held[at] = text
        for column, group in enumerate(self._columns.group_of):
            new, tails = self._tail(column, row.values[column]), part.tails[column]
            if tails[at] != new or (moved[group] and new is not None):
                tails[at] = new
                self._spoil(part, column)

    def _insert(self, index: int, at: int, thing_id: str, row: Row) -> None:
        last = index == len(self._parts) - 1
        if not self._parts or (last and at == len(self._parts[index].ids) >= self._most):
            index, at = len(self._parts), 0
            self._place(index, self._empty())
        part = self._parts[index]
        part.ids.insert(at, thing_id)
        for held, text in zip(part.labels, self._label_texts(row), strict=True):
            held.insert(at, text)
        for column, tails in enumerate(part.tails):
            tails.insert(at, self._tail(column, row.values[column]))
        self._firsts[index] = part.ids[0]
        self._spoil_all(part)
        if len(part.ids) >= 2 * self._most:
            self._split(index)

    def _remove(self, index: int, at: int) -> None:
        part = self._parts[index]
        for held in (part.ids, *part.labels, *part.tails):
            del held[at]
        self._spoil_all(part)
        if not part.ids:
            self._drop(index)
        else:
            self._firsts[index] = part.ids[0]
            if index and len(part.ids) + len(self._parts[index - 1].ids) <= self._most:
                self._merge(index)

    def _split(self, index: int) -> None:
        part, rest = self._parts[index], self._empty()
        for held, others in zip(_lists(part), _lists(rest), strict=True):
            others.extend(held[self._most :])
            del held[self._most :]
        self._place(index + 1, rest)
        self._spoil_all(rest)

    def _merge(self, index: int) -> None:
        """Into the part before."""
        part, before = self._parts[index], self._parts[index - 1]
        self._drop(index)
        for held, others in zip(_lists(before), _lists(part), strict=True):
            held.extend(others)
        self._spoil_all(before)

    def _empty(self) -> _Part:
        groups, families = len(self._columns.label_names), len(self._names)
        return _Part([], [[] for _ in range(groups)], [[] for _ in range(families)], [None] * families)

    def _place(self, index: int, part: _Part) -> None:
        self._parts.insert(index, part)
        self._firsts.insert(index, part.ids[0] if part.ids else "")
        for strung in self._strung():
            strung.insert(index)

    def _drop(self, index: int) -> None:
        self._stale.pop(self._parts.pop(index), None)
        del self._firsts[index]
        for strung in self._strung():
            strung.remove(index)

    def _strung(self) -> Iterator[Strung]:
        for held in self._pieces:
            yield from held.values()

    # --- lines ----------------------------------------------------------------------------------------------------

    def _label_texts(self, row: Row) -> list[str]:
        columns = self._columns
        return [
            label_text(names, values, optional)
            for names, values, optional in zip(columns.label_names, row.labels, columns.optional, strict=True)
        ]

    def _tail(self, column: int, value: Any) -> Any:
        if value is None or self._aged[column] is not None or isinstance(value, Histogram):
            return value
        if isinstance(value, int):
            return _SMALL[value] if 0 <= value < len(_SMALL) else f" {+value}\n"
        return tail(value)

    def _spoil(self, part: _Part, column: int) -> None:
        part.templates[column] = None
        if self._aged[column] is None:
            self._stale.setdefault(part, set()).add(column)

    def _spoil_all(self, part: _Part) -> None:
        part.templates = [None] * len(self._names)
        self._stale[part] = self._kept

    # --- pieces ---------------------------------------------------------------------------------------------------

    def refresh(self) -> int:
        """Make anew what was spoilt, all but aged families; how many parts that was."""
        rendered = 0
        for part, columns in self._stale.items():
            index = bisect_right(self._firsts, part.ids[0]) - 1
            for column in columns:
                for format_, strung in self._pieces[column].items():
                    strung.replace(index, self._packer.piece(self._text(part, column, format_)))
            rendered += len(columns)
        self._stale.clear()
        return rendered

    def _text(self, part: _Part, column: int, format_: Format | None) -> bytes:
        name, labels = self._names[column], part.labels[self._columns.group_of[column]]
        tails = part.tails[column]
        if format_ is not None:
            return self._histograms(column, labels, tails, format_)
        if None in tails:
            labels, tails = list(compress(labels, tails)), list(filter(None, tails))
        return (name + name.join(map(add, labels, tails))).encode() if tails else b""

    def _histograms(
        self, column: int, labels: list[str], values: Iterable[Histogram | None], format_: Format
    ) -> bytes:
        name, template = self._names[column], self._buckets[column][format_]
        told = zip(labels, values, strict=True)
        return "".join([bucket_rows(name, label, value, template) for label, value in told]).encode()

    def segment(self, column: int, format_: Format = Format.TEXT) -> Piece:
        """All rows of a family that is not aged, after ``refresh``."""
        held = self._pieces[column]
        return held[format_ if format_ in held else None].joined()

    def __len__(self) -> int:
        """Of how many parts a segment is made."""
        return len(self._parts)

    def aged_segment(self, column: int, now: Instant | None, format_: Format = Format.TEXT) -> Piece:
        """An aged family at this instant; nothing of it is kept but the text around the numbers."""
        if now is None:
            return NOTHING
        pieces = []
        for start in range(0, len(self._parts), PARTS_AT_ONCE):
            some = self._parts[start : start + PARTS_AT_ONCE]
            text = b"".join([self._aged_text(part, column, now, format_) for part in some])
            pieces.append(self._packer.piece(text))
        return self._packer.join(pieces)

    def _aged_text(self, part: _Part, column: int, now: Instant, format_: Format) -> bytes:
        """The numbers set into the kept text of the part; a part with an absent row is written line by line."""
        aged = self._aged[column]
        assert aged is not None
        told = aged.told
        values: list[Any] = [None if base is None else told(now, base) for base in part.tails[column]]
        name, labels = self._names[column], part.labels[self._columns.group_of[column]]
        if format_ in self._buckets[column]:
            return self._histograms(column, labels, values, format_)
        if None in values:
            lines = [
                f"{name}{label} {value}\n" for label, value in zip(labels, values, strict=True) if value is not None
            ]
            return "".join(lines).encode()
        template = part.templates[column]
        if template is None:
            template = "".join([f"{name}{label} ".replace("%", "%%") + "%d\n" for label in labels]).encode()
            part.templates[column] = template
        return template % tuple(values)


def _buckets(family: Family[Any]) -> dict[Format | None, str]:
    """The bucket rows of a histogram, which each format spells its own way; rows of others are the same in both."""
    if family.type is not Type.HISTOGRAM:
        return {None: ""}
    return {format_: bucket_template(family.name, family.bounds, format_) for format_ in Format}


def _lists(part: _Part) -> list[list[Any]]:
    return [part.ids, *part.labels, *part.tails]
