"""Says whether each source has a good backup; scrape, pages, API and alerts all ask here, and nobody else may decide.

Takes what is known and a moment; answers the state and the moment at which the clock alone changes it (None: never).
A limit that is reached is past: at ``holds_until`` itself the next state stands. The conditions are those of the
design's table, first that holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from lastgood.fleet.reason import reason
from lastgood.fleet.weigh import DAMAGED, is_accepted, newest
from lastgood.model.host import Host, Presence
from lastgood.model.job import Outcome, Run
from lastgood.model.repository import Probe, Repository, RepositoryEvidence, RepositoryState
from lastgood.model.source import Evidence, Source, State, last_good

OFFLINE_AFTER = timedelta(seconds=90)
"""A host that was not heard for so long is offline."""

SURVEY_INTERVAL = timedelta(minutes=15)
"""How often a repository is looked into; after three silent intervals we no longer know."""

LOOK_TAKES = timedelta(minutes=5)
"""How long a look may take, from asking to learning."""

STALE_AFTER_INTERVALS = 3

CLOCK_DOUBT = timedelta(seconds=60)

_ANSWERED_NO = frozenset({Probe.MISSING, Probe.WRONG_PASSWORD, Probe.REFUSED, Probe.UNREACHABLE})


class Known(Protocol):
    """What the judge asks of a fleet or of a frozen view of one."""

    @property
    def hosts(self) -> Mapping[str, Host]: ...
    @property
    def repositories(self) -> Mapping[str, Repository]: ...
    @property
    def sources(self) -> Mapping[str, Source]: ...
    @property
    def running_of_source(self) -> Mapping[str, str]: ...
    def evidence_of(self, source_id: str) -> Evidence: ...
    def repository_evidence_of(self, repository_id: str) -> RepositoryEvidence: ...
    def presence_of(self, host_id: str | None) -> Presence: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The full answer about one source; ``reason`` is one sentence for a person."""

    source_id: str
    state: State
    holds_until: datetime | None
    last_good: Run | None
    due_at: datetime | None
    deadline_at: datetime | None
    observed_at: datetime | None
    running: bool
    reason: str


def observed_at(known: Known, source: Source, now: datetime) -> datetime | None:
    """The last moment for which we know what happened to it: now, while its agent is connected and in step."""
    told = known.evidence_of(source.id).observed_at if source.host_id is not None else told_at(known, source)
    return last_known_at(known.presence_of(source.host_id), told, now)


def told_at(known: Known, source: Source) -> datetime | None:
    """The last moment that facts speak of; of a found source every whole look does."""
    told = known.evidence_of(source.id).observed_at
    if source.host_id is not None:
        return told
    whole_at = known.repository_evidence_of(source.repository_id).whole_at
    return told if whole_at is None else newest(told, whole_at)


def last_known_at(presence: Presence, told_at: datetime | None, now: datetime) -> datetime | None:
    """The same, from what the host's heartbeats and the newest fact about the source (``told_at``) say."""
    if presence.is_observing:
        return now - presence.behind
    # A fact of the future was told while our clock was wrong; it says nothing of what comes until then.
    told_at = None if told_at is None or told_at > now + CLOCK_DOUBT else told_at
    if presence.observed_at is None or told_at is None:
        return presence.observed_at or told_at
    return max(presence.observed_at, told_at)


def source_state(known: Known, source: Source, now: datetime) -> tuple[State, datetime | None]:
    """The state of a source at ``now`` and the moment at which the clock alone changes it."""
    if source.archived_by is not None:
        return State.ARCHIVED, None
    if source.paused_until is not None and now < source.paused_until:
        return State.PAUSED, source.paused_until
    evidence = known.evidence_of(source.id)
    attempt = evidence.last_attempt
    if is_damaged(known, source, evidence) or (attempt is not None and _is_broken(attempt)):
        return State.FAILED, None
    deadline_at = evidence.deadline_at
    if deadline_at is None:
        return State.UNKNOWN, None
    has_good = last_good(source, evidence) is not None
    if now >= deadline_at:
        looked_at = observed_at(known, source, now)
        if looked_at is None or looked_at < deadline_at:
            awaited_until = look_awaited_until(known, source, looked_at)
            if awaited_until is not None and now < awaited_until:
                return State.LATE, awaited_until
            presence = known.presence_of(source.host_id)
            return State.UNKNOWN, deadline_at + presence.behind if presence.is_observing else None
        if evidence.habit is not None and evidence.habit.successor is not None:
            return State.UNKNOWN, None
        return (State.MISSED if has_good else State.NEVER), None
    if not has_good:
        return State.NEW, deadline_at
    stale_at = _stale_at(known, source, evidence, now)
    if stale_at is not None:
        if now >= stale_at:
            return State.UNKNOWN, None
        deadline_at = min(deadline_at, stale_at)
    if attempt is not None and attempt.outcome is Outcome.PARTIAL and not is_accepted(source, attempt):
        return State.PARTIAL, deadline_at
    due_at = evidence.due_at
    if due_at is None or now >= due_at:
        return State.LATE, deadline_at
    return State.GOOD, min(due_at, deadline_at)


def look_awaited_until(known: Known, source: Source, looked_at: datetime | None) -> datetime | None:
    """Until when the next look at a found source may take: only a look says whether its snapshot came."""
    if not source.is_found or looked_at is None:
        return None
    return looked_at + _look_interval(known, source.repository_id) + LOOK_TAKES


def _look_interval(known: Known, repository_id: str) -> timedelta:
    repository = known.repositories.get(repository_id)
    if repository is not None and repository.collector is not None:
        return timedelta(seconds=repository.watch_seconds)
    if repository is None or repository.watched_by is None:
        return SURVEY_INTERVAL
    return max(SURVEY_INTERVAL, timedelta(seconds=repository.watch_seconds))


def is_running(known: Known, source_id: str) -> bool:
    """Whether a backup of it is under way, by an agent's word or by its server's."""
    return source_id in known.running_of_source or known.evidence_of(source_id).running_since is not None


def is_damaged(known: Known, source: Source, evidence: Evidence) -> bool:
    """Whether what we hold as good is known to be damaged, as a check of its repository may have found."""
    if evidence.finding == DAMAGED:
        return True
    found_at = known.repository_evidence_of(source.repository_id).damaged_at
    return found_at is not None and last_good(source, evidence) is not None


def _is_broken(attempt: Run) -> bool:
    return attempt.outcome is Outcome.FAILED or attempt.outcome is Outcome.LOST


def _stale_at(known: Known, source: Source, evidence: Evidence, now: datetime) -> datetime | None:
    """When what we know becomes too old to speak; never while its agent is connected and in step."""
    if evidence.interval is None or known.presence_of(source.host_id).is_observing:
        return None
    looked_at = observed_at(known, source, now)
    return None if looked_at is None else looked_at + STALE_AFTER_INTERVALS * evidence.interval


def host_online(known: Known, host_id: str, now: datetime) -> tuple[bool, datetime | None]:
    """Whether the host's agent is online, and until when silence leaves it so."""
    presence = known.presence_of(host_id)
    if presence.connected:
        return True, None
    if presence.seen_at is None or now >= presence.seen_at + OFFLINE_AFTER:
        return False, None
    return True, presence.seen_at + OFFLINE_AFTER


def repository_state(known: Known, repository_id: str, now: datetime) -> tuple[RepositoryState, datetime | None]:
    """Whether a repository answers; unknown when nobody has looked for three survey intervals."""
    evidence = known.repository_evidence_of(repository_id)
    if evidence.observed_at is None or evidence.probe is Probe.UNKNOWN:
        return RepositoryState.UNKNOWN, None
    stale_at = evidence.observed_at + STALE_AFTER_INTERVALS * _look_interval(known, repository_id)
    if now >= stale_at:
        return RepositoryState.UNKNOWN, None
    if evidence.probe in _ANSWERED_NO:
        return RepositoryState.DOWN, stale_at
    return RepositoryState.UP, stale_at


def verdict(known: Known, source_id: str, now: datetime, told: State | None = None) -> Verdict:
    """The full answer, for what is shown. Raises KeyError for a source that is not known.

    ``told`` is the state that was told of it, perhaps a moment before or after ``now``: the words are of that one.
    """
    source = known.sources[source_id]
    state, holds_until = source_state(known, source, now)
    state = told or state
    evidence = known.evidence_of(source_id)
    if is_damaged(known, source, evidence):
        evidence = replace(evidence, finding=DAMAGED)
    looked_at = observed_at(known, source, now)
    host = known.hosts.get(source.host_id or source.alias_host_id or "")
    return Verdict(
        source_id=source_id,
        state=state,
        holds_until=holds_until,
        last_good=last_good(source, evidence),
        due_at=evidence.due_at,
        deadline_at=evidence.deadline_at,
        observed_at=looked_at,
        running=is_running(known, source_id),
        reason=reason(source, evidence, state, looked_at, host.name if host else source.restic_host),
    )
