"""What a look into a repository gives reason to doubt: the witness's remarks, beside each source's own state.

Called by ``looked`` with what was seen; goes out in the repository's evidence, onto its page and into the rule
``repository_finding``. The one rule: a remark keeps the moment at which it was first made for as long as it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import median

from lastgood.fleet.fleet import Fleet
from lastgood.fleet.reason import moment
from lastgood.fleet.series import OWNER, is_ours_to_wake
from lastgood.fleet.survey import AHEAD
from lastgood.fleet.weigh import GONE
from lastgood.model.fact import SnapshotsListed
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.model.repository import Doubt, DoubtKind, RepositoryEvidence, SnapshotPoint, SnapshotSeries
from lastgood.model.source import Source, last_good

NOT_REMOVED = "not_removed"
"""The cause of a forget after which what was to go is still there: an append-only store does that."""

MOST_MISDATED = 200
MOST_DOUBTS = 100
MOST_NAMED = 3
LEAST_POINTS = 4
SHRUNK_TO = 0.5
SHORT_ID = 8

ALERTED = frozenset(
    {
        DoubtKind.MISSING,
        DoubtKind.DUPLICATED,
        DoubtKind.FUTURE,
        DoubtKind.SHRUNK,
        DoubtKind.KEPT,
        DoubtKind.IDENTITY,
        DoubtKind.CUT,
    }
)
"""Which of them deserve an alert: snapshots without an owner are told, but somebody may want to keep them."""

_Said = tuple[DoubtKind, str, str]
"""Kind, what it is about, and the sentence."""


def misdated(before: RepositoryEvidence, told: SnapshotsListed) -> tuple[str, ...]:
    """The snapshots that were ever seen before the moment they claim; one that is not listed any more is let go."""
    if not before.misdated and not any(_is_ahead(one, told) for one in told.series):
        return ()
    known = set(before.misdated)
    found = list(before.misdated) if told.part else []
    found += [
        point.id
        for one in told.series
        for point in one.newest
        if point.started_at > told.listed_at + AHEAD or point.id in known
    ]
    return tuple(sorted(set(found))[:MOST_MISDATED])


def _is_ahead(one: SnapshotSeries, told: SnapshotsListed) -> bool:
    return bool(one.newest) and one.newest[0].started_at > told.listed_at + AHEAD


def of_look(
    fleet: Fleet, before: RepositoryEvidence, wrong: tuple[str, ...], told: SnapshotsListed
) -> tuple[Doubt, ...]:
    """All remarks after a look; ``wrong`` are the snapshots that are misdated."""
    said: list[_Said] = [*_identity(before)]
    said += _missing(fleet, told)
    if wrong:
        said += _future(set(wrong), told)
    said += _shrunk(fleet, told, set(wrong))
    said += _kept(fleet, before)
    if told.duplicates:
        said.append((DoubtKind.DUPLICATED, "", _duplicated(told.duplicates)))
    if told.truncated:
        said.append((DoubtKind.CUT, "", _CUT))
    said += _orphaned(fleet, told)
    return _dated(before.doubts, said, told.listed_at)


def of_identity(after: RepositoryEvidence, at: datetime) -> tuple[Doubt, ...]:
    """The remarks after a probe, which tells of the repository's identity alone."""
    others = [(one.kind, one.about, one.sentence) for one in after.doubts if one.kind is not DoubtKind.IDENTITY]
    return _dated(after.doubts, [*_identity(after), *others], at)


def of_forget(fleet: Fleet, before: RepositoryEvidence, run: Run) -> RepositoryEvidence:
    """The evidence after a forget: one that removed nothing of what it was to remove leaves a remark."""
    source = fleet.sources.get(run.source_id or "")
    if run.kind is not RunKind.FORGET or source is None:
        return before
    others = tuple(one for one in before.doubts if (one.kind, one.about) != (DoubtKind.KEPT, source.id))
    if run.cause == NOT_REMOVED:
        said = f"The retention of {_named(fleet, source)} is not met: {run.reason or 'forget removed nothing.'}"
        since = next((one.since for one in before.doubts if one not in others), run.ended_at)
        others = (Doubt(kind=DoubtKind.KEPT, about=source.id, sentence=said, since=since), *others)[:MOST_DOUBTS]
    elif run.outcome is not Outcome.SUCCESS:
        return before
    return before if others == before.doubts else replace(before, doubts=others)


def _dated(before: Sequence[Doubt], said: Iterable[_Said], at: datetime) -> tuple[Doubt, ...]:
    since = {(one.kind, one.about): one.since for one in before}
    return tuple(
        Doubt(kind=kind, about=about, sentence=sentence, since=since.get((kind, about), at))
        for kind, about, sentence in list(said)[:MOST_DOUBTS]
    )


def _identity(after: RepositoryEvidence) -> Iterator[_Said]:
    if after.identity_changed:
        yield (
            DoubtKind.IDENTITY,
            "",
            "Another repository answers at this address than before; see whether it was replaced or has moved.",
        )


def _missing(fleet: Fleet, told: SnapshotsListed) -> Iterator[_Said]:
    for source in _sources(fleet, told):
        evidence = fleet.evidence_of(source.id)
        if evidence.finding != GONE or source.archived_by is not None:
            continue
        good = last_good(source, evidence)
        left = "none is left" if good is None else f"the newest that is there is of {moment(good.ended_at)}"
        yield DoubtKind.MISSING, source.id, f"Good snapshots of {_named(fleet, source)} are gone; {left}."


def _future(wrong: set[str], told: SnapshotsListed) -> Iterator[_Said]:
    for one in told.series:
        for point in one.newest:
            if point.id in wrong:
                yield (
                    DoubtKind.FUTURE,
                    point.id,
                    f"Snapshot {point.id[:SHORT_ID]} of {one.hostname or 'an unnamed host'} claims"
                    f" {moment(point.started_at)}, a moment that had not come when it was seen; set that machine's"
                    " clock right and forget the snapshot, which restic takes for the latest.",
                )


def _shrunk(fleet: Fleet, told: SnapshotsListed, wrong: set[str]) -> Iterator[_Said]:
    """A newest snapshot with less than half of what the others hold: an empty mount looks like a good backup."""
    for one in told.series:
        if not one.newest or (one.newest[0].files is None and one.newest[0].size_bytes is None):
            continue  # written by a client that told neither
        points = [point for point in one.newest if point.id not in wrong]
        what = _fallen(points)
        if what is not None:
            name = f"{', '.join(one.paths[:MOST_NAMED])} of {one.hostname or 'an unnamed host'}"
            about = "\n".join((one.hostname, *one.tags, *one.paths))
            yield (
                DoubtKind.SHRUNK,
                about,
                f"The newest snapshot of {name} holds {what}; see whether something is not mounted or was deleted.",
            )


def _fallen(points: Sequence[SnapshotPoint]) -> str | None:
    if len(points) < LEAST_POINTS:
        return None
    for counts, unit in (([p.files for p in points], "files"), ([p.size_bytes for p in points], "bytes")):
        newest, *others = counts
        known = [count for count in others if count is not None]
        if newest is None or len(known) < LEAST_POINTS - 1 or newest >= SHRUNK_TO * max(known):
            continue
        usual = median(known)
        if newest < SHRUNK_TO * usual:
            return f"{newest:,} {unit}, those before it {usual:,.0f}"
    return None


def _kept(fleet: Fleet, after: RepositoryEvidence) -> Iterator[_Said]:
    """What an agent told of its forget holds until the next one went well, or the source is no more."""
    for one in after.doubts:
        if one.kind is DoubtKind.KEPT and one.about in fleet.sources:
            yield one.kind, one.about, one.sentence


def _orphaned(fleet: Fleet, told: SnapshotsListed) -> Iterator[_Said]:
    """Series that carry the mark of a source that is not known here, and that nobody has muted or adopted."""
    sources = list(_sources(fleet, told))
    owned = {source.tag for source in sources if not source.is_found}
    if all(not owned.isdisjoint(one.tags) for one in told.series):
        return
    owned |= {tag for s in sources if not s.is_found for key in s.series for tag in key.tags}
    muted = {tag for s in sources if s.is_found and not is_ours_to_wake(s) for key in s.series for tag in key.tags}
    orphans = [one for one in told.series if _is_orphan(one, owned, muted)]
    if not orphans:
        return
    names = [f"{one.hostname} ({', '.join(one.paths[:MOST_NAMED])})" for one in orphans[:MOST_NAMED]]
    more = f" and {len(orphans) - MOST_NAMED} more" if len(orphans) > MOST_NAMED else ""
    count = sum(one.count for one in orphans)
    yield (
        DoubtKind.ORPHANED,
        "",
        f"{count:,} snapshots carry the mark of a source that is not known here: {'; '.join(names)}{more}; adopt or"
        " mute them, or forget them by hand.",
    )


def _is_orphan(one: SnapshotSeries, owned: set[str], muted: set[str]) -> bool:
    marks = [tag for tag in one.tags if tag.startswith(OWNER)]
    return bool(marks) and owned.isdisjoint(marks) and muted.isdisjoint(marks)


def _duplicated(count: int) -> str:
    return (
        f"{count:,} {'snapshot stands' if count == 1 else 'snapshots stand'} there twice, with the same tree, host"
        " and moment: an edit of tags could not remove the original; forget one of each by its id."
    )


_CUT = (
    "The repository holds more series of snapshots than a look can tell, so those with the oldest snapshots are not"
    " watched; forget what is not needed, or split the repository."
)


def _sources(fleet: Fleet, told: SnapshotsListed) -> Iterator[Source]:
    for source_id in fleet.sources_of_repository.get(told.repository_id, ()):
        yield fleet.sources[source_id]


def _named(fleet: Fleet, source: Source) -> str:
    host = fleet.hosts.get(source.host_id or source.alias_host_id or "")
    return f"{source.name} on {host.name if host is not None else source.restic_host}"
