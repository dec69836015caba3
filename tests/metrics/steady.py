"""A page as it is kept, fed by hand: the same steps as the hub's, without threads."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lastgood.fleet.learn import Changes
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.entities import instant, rows_touched
from lastgood.metrics.own_facts import Build, OwnFacts
from lastgood.metrics.pack import PACKER, Packer
from lastgood.metrics.page import Made, Page, Wanted, shard_of
from lastgood.metrics.parts import ROWS_A_PART
from lastgood.metrics.reading import Reading, columns_of
from lastgood.metrics.text import Format, Section, chunks
from lastgood.metrics.vocabulary import Vocabulary, sections

NAMES = tuple(vocabulary.name for vocabulary in VOCABULARIES)
PLAIN = OwnFacts(build=Build(version="1.2.3"))


class Steady:
    """``moment`` is a fleet that goes on, or a view."""

    def __init__(
        self,
        moment: Any,
        shards: int = 1,
        packer: Packer = PACKER,
        vocabularies: Sequence[Vocabulary] = VOCABULARIES,
        own: Callable[[], OwnFacts] = lambda: PLAIN,
        rows_a_part: int = ROWS_A_PART,
    ) -> None:
        columns = columns_of(vocabularies)
        self.moment, self.packer, self.own = moment, packer, own
        self.reading = Reading(vocabularies, columns)
        self.pages = Page(vocabularies, columns, shards, packer, rows_a_part)

    def changed(self, changes: Changes) -> None:
        for kind, ids in rows_touched(self.moment, changes):
            self.reading.changed(kind, ids)

    def made(self, wanted: Wanted) -> Made:
        self.reading.begin(wanted.names, self.moment)
        while self.reading.behind:
            self.reading.read(self.moment, 7)
        self.pages.apply(self.reading.take(self.moment))
        return self.pages.make(wanted, instant(self.moment), self.own)

    def gzip(self, format_: Format, names: Sequence[str] = NAMES, shard: int | None = None) -> bytes:
        return b"".join(self.made(Wanted(tuple(names), format_, shard)).body.buffers)

    def identity(self, format_: Format, names: Sequence[str] = NAMES, shard: int | None = None) -> bytes:
        return b"".join(self.packer.clear(self.made(Wanted(tuple(names), format_, shard)).body))


def from_nothing(
    moment: Any,
    format_: Format,
    names: Sequence[str] = NAMES,
    shard: int | None = None,
    shards: int = 1,
    own: OwnFacts = PLAIN,
) -> bytes:
    """The same page by the plain writer, its rows in the order of shards."""
    chosen = [vocabulary for vocabulary in VOCABULARIES if vocabulary.name in names]
    kept = []
    for section in sections(chosen, moment, own):
        families = [sharded(family, shard, shards) for family in section.families]
        kept.append(Section([family for family in families if family is not None], section.moment))
    return b"".join(chunks(kept, format_))


def sharded(family: Any, shard: int | None, shards: int) -> Any:
    """The family with the rows of the shard alone; None if it has none there."""
    entity = family.entity
    if entity.things is None:
        return None if shard else family

    def ids(moment: Any) -> list[str]:
        held = sorted(entity.ids(moment), key=lambda i: (shard_of(i, shards), i))
        return [i for i in held if shard is None or shard_of(i, shards) == shard]

    kind = f"{entity.kind} of shard {shard}"
    return replace(family, entity=replace(entity, kind=kind, ids=ids))


def unpacked(body: bytes) -> bytes:
    return gzip.decompress(body)
