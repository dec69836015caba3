"""Is it backed up? The answer for each place of data of a Docker host.

A view and a host come in, one ``Coverage`` for each of its volumes and bind mounts goes out; pages, API, command line
and ``backup_uncovered_sources`` all ask here. The one rule: only a last good backup that the judge's evidence holds,
and that began when the place was there, counts as one. Nothing here looks at any other host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from lastgood.fleet.changes import Changes
from lastgood.fleet.fleet import Fleet, FleetView
from lastgood.model.docker import Answer, Coverage, Exclusion, Subject
from lastgood.model.job import Run
from lastgood.model.source import Source, last_good

View = FleetView | Fleet


@dataclass(frozen=True, slots=True)
class _Way:
    """A source of the host with what it holds."""

    source: Source
    good: Run | None


def coverage(view: View, host_id: str) -> list[Coverage]:
    """The answers for one host, in the order of the places' keys; none for a host without an engine."""
    return list(_answers(view, host_id, view.subjects_of_host.get(host_id, ())))


def coverage_of(view: View, host_id: str, subject_key: str) -> Coverage | None:
    """The answer for one place."""
    chosen = [one for one in view.subjects_of_host.get(host_id, ()) if one.key == subject_key]
    return next(_answers(view, host_id, chosen), None)


def uncovered(view: View, host_id: str) -> int | None:
    """Of how many places of a host no backup is known; None for a host whose engine was never listed."""
    held = view.docker.get(host_id)
    if held is None or held.listed_at is None:
        return None
    return sum(one.answer is Answer.NEVER for one in coverage(view, host_id))


def touched(view: View, changes: Changes) -> set[str]:
    """The hosts with an engine of whose places something else may be told now."""
    docker = view.docker
    found = changes.docker | (changes.hosts & docker.keys())
    for source_id in changes.sources if docker else ():
        source = view.sources.get(source_id)
        if source is not None:
            found.update({source.host_id or "", source.alias_host_id or ""} & docker.keys())
    return found


def _answers(view: View, host_id: str, subjects: Iterable[Subject]) -> Iterator[Coverage]:
    held = view.docker.get(host_id)
    if held is None:
        return
    ways = _ways(view, host_id)
    excluded = {one.subject: one for one in held.exclusions}
    since = {one.subject: one.seen_at for one in held.sightings}
    for subject in subjects:
        yield _answer(host_id, subject, ways, excluded.get(subject.key), since.get(subject.key))


def _answer(
    host_id: str, subject: Subject, ways: list[_Way], exclusion: Exclusion | None, since: datetime | None
) -> Coverage:
    if exclusion is not None:
        return Coverage(
            host_id=host_id,
            subject=subject,
            answer=Answer.EXCLUDED,
            because=exclusion.reason,
            excluded_by=exclusion.by,
        )
    if subject.excluded_because is not None:
        return Coverage(host_id=host_id, subject=subject, answer=Answer.EXCLUDED, because=subject.excluded_because)
    covering = [way for way in ways if subject.path and covers(way.source, subject.path)]
    best = max(covering, key=_rank, default=None)
    if best is not None and subject.hidden_because is None and _holds(best, since):
        assert best.good is not None
        return Coverage(
            host_id=host_id,
            subject=subject,
            answer=Answer.BACKED_UP,
            because=f"{best.source.name} covers it.",
            source_id=best.source.id,
            last_good_at=best.good.ended_at,
        )
    if subject.seen_by is not None:
        return Coverage(
            host_id=host_id, subject=subject, answer=Answer.SEEN, because=f"{subject.seen_by} Seen, not proven."
        )
    return Coverage(
        host_id=host_id,
        subject=subject,
        answer=Answer.NEVER,
        because=_why(subject, best),
        source_id=None if best is None else best.source.id,
    )


def _holds(way: _Way, since: datetime | None) -> bool:
    if way.good is None or way.source.archived_by is not None:
        return False
    return since is None or way.good.started_at >= since


def _why(subject: Subject, best: _Way | None) -> str:
    if subject.hidden_because is not None:
        return subject.hidden_because
    if best is None:
        return subject.remark or "No source of this host covers it."
    name = best.source.name
    if best.source.archived_by is not None:
        return f"Only {name} covers it, which is archived."
    if best.good is None:
        return f"{name} covers it and has no good backup yet."
    return f"{name} covers it and has made no backup since it appeared."


def _rank(way: _Way) -> tuple[bool, bool, float]:
    good = way.good
    return way.source.archived_by is None, good is not None, 0.0 if good is None else good.started_at.timestamp()


def _ways(view: View, host_id: str) -> list[_Way]:
    ids = (*view.sources_of_host.get(host_id, ()), *view.aliases_of_host.get(host_id, ()))
    sources = [view.sources[source_id] for source_id in ids]
    return [_Way(source, last_good(source, view.evidence_of(source.id))) for source in sources]


def covers(source: Source, path: str) -> bool:
    """Whether a backup of the source has the whole of ``path`` in it."""
    return any(_is_within(path, top) and not _is_left_out(path, top, source.excludes) for top in source.paths)


def _is_within(path: str, top: str) -> bool:
    top = top.rstrip("/")
    return path == top or path.startswith(f"{top}/")


def _is_left_out(path: str, top: str, patterns: tuple[str, ...]) -> bool:
    """Whether restic's exclude patterns match the path, or a folder above it up to the source's own."""
    if not patterns:
        return False
    parts = path.strip("/").split("/")
    first = len(top.strip("/").split("/")) if top.strip("/") else 0
    for end in range(max(first, 1), len(parts) + 1):
        folder = "/" + "/".join(parts[:end])
        for pattern in patterns:
            told = pattern.rstrip("/")
            if told.startswith("/"):
                matched = fnmatchcase(folder, told) and ("**" in told or told.count("/") == folder.count("/"))
            elif "/" in told:
                matched = fnmatchcase(folder, f"*/{told}")
            else:
                matched = fnmatchcase(parts[end - 1], told)
            if matched:
                return True
    return False
