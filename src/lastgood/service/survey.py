"""What is new in a report of sources: changed ones, ones that are gone, and whether a mark says all of the rest.

Comes in: reports of one collector, each of a whole repository or a part of it. Goes out: ``News``, in facts so small
that learning one never holds the loop. The one rule: what was not told, for whatever reason, is told again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from lastgood.fleet.collected import MOST_SOURCES, NOT_LISTED
from lastgood.fleet.fleet import Fleet
from lastgood.model.collected import CollectedSource, SourcesTold
from lastgood.model.fact import Fact, SourcesCollected
from lastgood.service.slices import Slice

RENEW_AFTER = timedelta(hours=1)
"""After so long a silence every source is told, for much of what was said of them has changed by the clock."""

MARK_AFTER = timedelta(minutes=15)
"""So old may be what is known of an unchanged source where only a part of its repository could be seen."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a report says that was not said before. ``prints`` are those of the changed sources."""

    report: SourcesTold
    changed: Sequence[CollectedSource]
    prints: dict[str, int]
    seen: Sequence[str]
    gone: Sequence[str]

    def facts(self, at: datetime, origin: str) -> list[Fact]:
        report = self.report

        def fact(**told: object) -> Fact:
            return SourcesCollected(
                at=at,
                origin=origin,
                repository_id=report.repository_id,
                listed_at=report.listed_at,
                **told,  # type: ignore[arg-type]
            )

        facts = [fact(sources=some) for some in parts(self.changed)]
        facts += [fact(seen=some) for some in parts(self.seen)]
        facts += [fact(gone=some) for some in parts(self.gone)]
        return [*facts, fact(whole=True)] if report.whole else facts


class Survey:
    """Remembers by a fingerprint what was told of each source of one collector."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._prints: dict[str, dict[str, int]] = {}
        """Repository -> source -> fingerprint."""

    async def news(self, report: SourcesTold) -> News:
        fleet, held = self._fleet, self._prints.get(report.repository_id, {})
        whole_at = fleet.repository_evidence_of(report.repository_id).whole_at
        renew = report.whole and (whole_at is None or report.listed_at - whole_at > RENEW_AFTER)
        changed, prints, seen, there = [], {}, [], set()
        piece = Slice()
        for source in report.sources:
            there.add(source.id)
            print_ = hash(source)
            if renew or held.get(source.id) != print_ or source.id not in fleet.sources:
                changed.append(source)
                prints[source.id] = print_
            elif not report.whole and self._wants_mark(source.id, report.listed_at):
                seen.append(source.id)
            if piece.is_over:
                await piece.rest()
        ids = fleet.sources_of_repository.get(report.repository_id, ()) if report.whole else ()
        gone = [source_id for source_id in ids if source_id not in there and self._is_news_that_gone(source_id)]
        return News(report=report, changed=changed, prints=prints, seen=seen, gone=gone)

    def told(self, news: News) -> None:
        """All of it was taken."""
        held = self._prints.setdefault(news.report.repository_id, {})
        held.update(news.prints)
        for source_id in news.gone:
            held.pop(source_id, None)

    def _wants_mark(self, source_id: str, listed_at: datetime) -> bool:
        """Whether it matters that an unchanged source was looked at, where no mark speaks for all."""
        evidence = self._fleet.evidence_of(source_id)
        held = evidence.observed_at
        if held is None or listed_at - held > MARK_AFTER:
            return True
        return evidence.deadline_at is not None and held < evidence.deadline_at <= listed_at

    def _is_news_that_gone(self, source_id: str) -> bool:
        archived = self._fleet.sources[source_id].archived_by is not None
        return archived or self._fleet.evidence_of(source_id).remarks != (NOT_LISTED,)


def parts(things: Sequence[_T]) -> Iterator[tuple[_T, ...]]:
    """All of them, as many as one fact may hold at a time."""
    for begin in range(0, len(things), MOST_SOURCES):
        yield tuple(things[begin : begin + MOST_SOURCES])
