"""The verdict's reason in words: one sentence for a person, the same on pages, in the API and in alerts.

Moments are written in UTC to the minute; pages show them relative beside it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from lastgood.fleet.weigh import DAMAGED, GONE
from lastgood.model.job import Outcome
from lastgood.model.source import Evidence, Source, State, last_good


def moment(at: datetime | None) -> str:
    """A moment as text, such as ``2026-11-20 02:00 UTC``."""
    return "an unknown moment" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def reason(source: Source, evidence: Evidence, state: State, observed_at: datetime | None, host_name: str) -> str:
    """Why the source is in this state."""
    match state:
        case State.ARCHIVED:
            return f"Archived by {source.archived_by}."
        case State.PAUSED:
            return f"Paused by {source.paused_by or 'somebody'} until {moment(source.paused_until)}."
        case State.FAILED:
            return _failed(source, evidence)
        case State.NEW:
            return f"No backup yet; the first is due at {moment(evidence.due_at)}."
        case State.NEVER if evidence.finding == GONE:
            return "Every good snapshot is gone from the repository."
        case State.NEVER:
            return f"No good backup so far; the first was due at {moment(evidence.due_at)}."
        case State.MISSED if _by_rhythm(source):
            return f"No snapshot came for the one due at {moment(evidence.due_at)} by its rhythm."
        case State.MISSED:
            return f"No good backup came for the one due at {moment(evidence.due_at)}."
        case State.UNKNOWN:
            return _unknown(source, evidence, observed_at, host_name)
        case State.PARTIAL:
            attempt = evidence.last_attempt
            return f"The last backup is incomplete: {_said(attempt.reason if attempt else None)}"
        case State.LATE:
            return f"Due since {moment(evidence.due_at)}; it has until {moment(evidence.deadline_at)}."
        case State.GOOD:
            return _good(source, evidence)


def _failed(source: Source, evidence: Evidence) -> str:
    attempt = evidence.last_attempt
    if evidence.finding == DAMAGED:
        return "The newest good backup is known to be damaged."
    if attempt is not None and attempt.outcome is Outcome.LOST and source.collected is None:
        return "The agent stopped while the last backup ran, so it is lost."
    return f"The last backup failed: {_said(attempt.reason if attempt else None)}"


def _by_rhythm(source: Source) -> bool:
    return source.is_found and source.schedule is None and source.target is None


def _unknown(source: Source, evidence: Evidence, observed_at: datetime | None, host_name: str) -> str:
    if evidence.deadline_at is None and source.is_found:
        return "No rhythm yet: too few snapshots say when the next one is due; set a target, or wait."
    successor = None if evidence.habit is None else evidence.habit.successor
    if successor is not None:
        return (
            f"Its snapshots stopped before those of {successor or 'an unnamed host'} with the same paths"
            " began; adopt it there if the host was renamed."
        )
    if source.collected is not None:
        return f"Its server has told nothing of it since {moment(observed_at)}, so we cannot say."
    if source.is_found:
        return f"Nobody could look into its repository since {moment(observed_at)}, so we cannot say."
    if evidence.deadline_at is None:
        return "Neither a schedule nor a target says when a backup is due."
    if observed_at is None:
        return f"Nothing was ever heard from {host_name}, so the backup due at {moment(evidence.due_at)} is unknown."
    return f"Nothing was heard from {host_name} since {moment(observed_at)}, so we cannot say."


def _good(source: Source, evidence: Evidence) -> str:
    good = last_good(source, evidence)
    ended = moment(good.ended_at if good else None)
    if evidence.finding == GONE:
        return f"A newer snapshot is gone from the repository; the last that is there ended at {ended}."
    if good is not None and good.outcome is Outcome.UNCHANGED:
        return f"Nothing had changed when it was last backed up at {ended}."
    if good is not None and good.outcome is Outcome.PARTIAL:
        return f"Backed up at {ended}, incomplete, which this source accepts."
    if good is not None and good.files == 0:
        return f"Backed up at {ended}, but it was empty: no file was found."
    return f"Backed up at {ended}."


def _said(text: str | None) -> str:
    """What a tool or agent said, as the end of our sentence."""
    if not text or not text.strip():
        return "no reason was given."
    text = text.strip()
    return text if text[-1] in ".!?…" else f"{text}."
