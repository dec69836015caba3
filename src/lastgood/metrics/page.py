"""Pages of any vocabularies, in both formats, whole or by shard, put together from kept pieces.

Comes in: batches of rows (``metrics/reading.py``). Goes out: finished gzip members that nobody changes any more. The
one rule: the text of a page is byte for byte what ``metrics/text.py`` makes of the same moment. Owned by one thread;
only ``finished`` may be asked from another. Formats: Prometheus text 0.0.4 and OpenMetrics 1.0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from zlib import crc32

from lastgood.metrics.family import Entity, Family, Instant
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.pack import PACKER, Body, Packer, Piece
from lastgood.metrics.parts import ROWS_A_PART, Columns, Parts
from lastgood.metrics.reading import Batch, Few, Stand
from lastgood.metrics.rendition import EMPTY, Rendition
from lastgood.metrics.text import Format, head, whole
from lastgood.metrics.vocabulary import Vocabulary

EOF = b"# EOF\n"


def shard_of(thing_id: str, shards: int) -> int:
    """In which shard the rows of a thing stand; the same for ever, wherever it is asked."""
    return crc32(thing_id.encode("utf-8", "surrogatepass")) % shards if shards > 1 else 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page: which vocabularies, in which format; ``shard`` None is all of it."""

    names: tuple[str, ...]
    format: Format
    shard: int | None = None


class Drawn(NamedTuple):
    """What collectors drew, as it was last written, and the moment at which a page tells of it."""

    rendition: Rendition
    at: Instant


class Made(NamedTuple):
    """A page, and how many of its parts were made for it and how many were there already."""

    body: Body
    rendered: int
    reused: int


class Page:
    """Everything kept for pages; ``columns`` are those of ``reading.columns_of`` for the same vocabularies."""

    def __init__(
        self,
        vocabularies: Sequence[Vocabulary],
        columns: Mapping[Stand, Columns],
        shards: int = 1,
        packer: Packer = PACKER,
        rows_a_part: int = ROWS_A_PART,
    ) -> None:
        self.shards, self._packer = shards, packer
        self._vocabularies = {vocabulary.name: vocabulary for vocabulary in vocabularies}
        self._parts = {
            stand: [Parts(held, packer, rows_a_part) for _ in range(shards)] for stand, held in columns.items()
        }
        self._column = {f.name: (stand, i) for stand, held in columns.items() for i, f in enumerate(held.families)}
        self._few: dict[str, Few] = {}
        self._pieces: dict[tuple[str, Format], Piece] = {}
        """Pieces by name of family: its metadata lines, or all of it if it has few rows."""
        self._ends = {format_: packer.piece(EOF) for format_ in Format if format_ is Format.OPENMETRICS}
        self._finished: dict[Wanted, Made] = {}

    # --- what changed -------------------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> int:
        """Take rows in and make anew what they spoilt; how many parts that was."""
        for stand, rows in batch.rows.items():
            shards = self._parts[stand]
            for thing_id in sorted(rows):
                shards[shard_of(thing_id, self.shards)].put(thing_id, rows[thing_id])
        rendered = sum(parts.refresh() for shards in self._parts.values() for parts in shards)
        spoilt = [name for name, few in batch.few.items() if self._few.get(name) != few]
        for name in spoilt:
            self._few[name] = batch.few[name]
            for format_ in Format:
                self._pieces.pop((name, format_), None)
        if rendered or spoilt:
            self._finished.clear()
        return rendered

    # --- pages --------------------------------------------------------------------------------------------------

    def finished(self, wanted: Wanted) -> Made | None:
        """The page if it is there and no clock or counter moves in it."""
        return self._finished.get(wanted)

    def prepare(self, wanted: Wanted, now: Instant | None, own: Callable[[], OwnFacts]) -> None:
        """Do ahead what can be done before the page is asked for."""
        if all(self._is_still(self._vocabularies[name]) for name in wanted.names):
            self.make(wanted, now, own)
            return
        for name in wanted.names:
            for family in self._vocabularies[name].fleet:
                if family.entity.things is not None and family.aged is None:
                    stand, column = self._column[family.name]
                    for parts in self._parts[stand]:
                        parts.segment(column, wanted.format)

    def _is_still(self, vocabulary: Vocabulary) -> bool:
        if vocabulary.own or vocabulary.collected is not None:
            return False
        return all(family.aged is None for family in vocabulary.fleet)

    def make(
        self, wanted: Wanted, now: Instant | None, own: Callable[[], OwnFacts], drawn: Drawn | None = None
    ) -> Made:
        """The page as of the last batch; ``own`` is asked if it tells of the process."""
        made = self._finished.get(wanted)
        if made is not None:
            return made
        making = _Making(self, wanted, now, own, drawn)
        pieces = list(making.pieces())
        made = Made(self._packer.member(pieces), making.rendered, making.parts - making.rendered)
        if not making.moves:
            self._finished[wanted] = Made(made.body, 0, making.parts)
        return made


class _Making:
    """One page while it is put together."""

    def __init__(
        self,
        page: Page,
        wanted: Wanted,
        now: Instant | None,
        own: Callable[[], OwnFacts],
        drawn: Drawn | None,
    ) -> None:
        self._page, self._wanted, self._now, self._own, self._drawn = page, wanted, now, own, drawn
        self.parts = self.rendered = 0
        self.moves = False
        """Whether the next page may differ although no row changed."""

    def pieces(self) -> Iterator[Piece]:
        page, format_ = self._page, self._wanted.format
        own: list[Family[Any]] = []
        for family, kind in self._families():
            if kind == "own":
                own.append(family)
                continue
            yield from self._told_by_process(own)
            own.clear()
            if kind == "many":
                yield self._kept(family, lambda family=family: head(family, format_))  # type: ignore[misc]
                yield from self._segments(family)
            elif kind == "collected":
                yield from self._drawn_rows(family)
            elif kind == "few":
                yield self._kept(family, lambda family=family: self._few(family))  # type: ignore[misc]
            else:
                yield self._kept(family, lambda family=family: whole(family, self._own(), format_))  # type: ignore[misc]
        yield from self._told_by_process(own)
        if format_ in page._ends:
            yield page._ends[format_]

    def _families(self) -> list[tuple[Family[Any], str]]:
        """In the order of the page; shards but the first have no families that speak of the whole."""
        found: list[tuple[Family[Any], str]] = []
        for name in self._wanted.names:
            vocabulary = self._page._vocabularies[name]
            found.extend((f, "few" if f.entity.things is None else "many") for f in vocabulary.fleet)
            found.extend((family, "own") for family in vocabulary.own)
            found.extend((family, "fixed") for family in vocabulary.fixed)
            if vocabulary.collected is not None:
                self.moves = True  # what is drawn changes without a word to this page
                drawn = EMPTY if self._drawn is None else self._drawn.rendition
                found.extend((family, "collected") for family in vocabulary.collected.families if family in drawn)
        if self._wanted.shard:
            found = [pair for pair in found if pair[1] == "many"]
        return sorted(found, key=lambda pair: pair[0].name)

    def _kept(self, family: Family[Any], text: Callable[[], bytes]) -> Piece:
        key = family.name, self._wanted.format
        self.parts += 1
        if key not in self._page._pieces:
            self._page._pieces[key] = self._page._packer.piece(text())
            self.rendered += 1
        return self._page._pieces[key]

    def _few(self, family: Family[Any]) -> bytes:
        rows = self._page._few[family.name]
        still: Family[Any] = replace(
            family,
            entity=Entity(family.entity.kind, tuple),
            labels=None if family.labels is None else lambda held, thing_id: held[thing_id][0],
            value=lambda held, thing_id: held[thing_id][1],
        )
        return whole(still, rows, self._wanted.format)

    def _segments(self, family: Family[Any]) -> Iterator[Piece]:
        stand, column = self._page._column[family.name]
        shards = self._page._parts[stand]
        for parts in shards if self._wanted.shard is None else [shards[self._wanted.shard]]:
            if family.aged is None:
                segment = parts.segment(column, self._wanted.format)
            else:
                segment = parts.aged_segment(column, self._now, self._wanted.format)
                self.rendered += len(parts)
                self.moves = True
            self.parts += len(parts)
            if segment.size:
                yield segment

    def _drawn_rows(self, family: Family[Any]) -> Iterator[Piece]:
        """A family that collectors tell, whole: it stands in the first shard."""
        assert self._drawn is not None
        format_, rendition = self._wanted.format, self._drawn.rendition
        self.parts += 1
        if family.aged is not None:
            self.rendered += 1
            yield self._page._packer.piece(rendition.told(family, self._drawn.at, format_))
            return
        yield self._kept(family, lambda: head(family, format_))
        yield rendition.pieces[family.name]

    def _told_by_process(self, families: Sequence[Family[Any]]) -> Iterator[Piece]:
        if families:
            self.moves = True
            self.parts += 1
            self.rendered += 1
            facts = self._own()
            yield self._page._packer.piece(b"".join([whole(f, facts, self._wanted.format) for f in families]))
