"""How a run ended: results made while it works, the run as it is reported, and its bounded log.

Subjects (``backing``, ``upkeep``, ``restoring``) answer a ``Result``; ``jobs`` makes the report of it. The one rule:
a log keeps its head and its tail within 64 KiB, whatever restic writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lastgood.agent.kept import OpenRun
from lastgood.errors import CollectError, LastgoodError
from lastgood.model.job import Outcome, Run, RunStart
from lastgood.tools.restic.causes import Cause, Diagnosis
from lastgood.tools.restic.lines import HeadTail

LOG_BYTES = 64 * 1024
REASON_CHARACTERS = 2000
_NOTES_HEAD, _NOTES_TAIL = 50, 50


class Cannot(LastgoodError):
    """The run cannot go on; ``cause`` is one of restic's causes or a word of ours."""

    def __init__(self, message: str, cause: str, outcome: Outcome = Outcome.FAILED) -> None:
        super().__init__(message)
        self.cause = cause
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of an attempt. ``more`` are further fields of the run; ``forced`` warns of a lock left behind."""

    outcome: Outcome
    cause: str | None = None
    reason: str | None = None
    log: tuple[str, ...] = ()
    forced: bool = False
    more: dict[str, Any] = field(default_factory=dict)


def well(reason: str, log: Sequence[str] = (), **more: Any) -> Result:
    """It went well."""
    return Result(outcome=Outcome.SUCCESS, reason=reason, log=tuple(log), more=more)


def of_diagnosis(found: Diagnosis, log: Sequence[str] = (), *, forced: bool = False, **more: Any) -> Result:
    """It did not go well, and restic or we know why."""
    outcome = Outcome.CANCELLED if found.cause is Cause.CANCELLED else Outcome.FAILED
    return Result(
        outcome=outcome, cause=found.cause.value, reason=found.sentence, log=tuple(log), forced=forced, more=more
    )


def of_error(error: LastgoodError) -> Result:
    """It could not go on."""
    if isinstance(error, Cannot):
        return Result(outcome=error.outcome, cause=error.cause, reason=str(error))
    cause = error.cause if isinstance(error, CollectError) else None
    return Result(outcome=Outcome.FAILED, cause=cause or Cause.OTHER.value, reason=str(error))


def lines_of(log: HeadTail) -> tuple[str, ...]:
    """What is held of a log, with a word on what is not."""
    between = (f"… {log.left_out} lines left out …",) if log.left_out else ()
    return (*log.head, *between, *log.tail)


class Journal:
    """Notes of ours on a run: what was tried again and why; they stand before what restic wrote last."""

    def __init__(self) -> None:
        self._notes = HeadTail(_NOTES_HEAD, _NOTES_TAIL)

    def note(self, text: str) -> None:
        self._notes.add(f"lastgood: {text}")

    def text(self, log: Sequence[str]) -> str:
        """Notes and log, head and tail of them, at most 64 KiB."""
        raw = "\n".join((*lines_of(self._notes), *log)).encode("utf-8", "replace")
        if len(raw) > LOG_BYTES:
            half = LOG_BYTES // 2 - 8
            raw = raw[:half] + "\n…\n".encode() + raw[-half:]
        return raw.decode("utf-8", "ignore")


def run_of(start: RunStart, result: Result) -> Run:
    """The run as it is reported; whoever reports it sets when it ended."""
    reason = result.reason
    made = Run(
        id=start.id,
        kind=start.kind,
        outcome=result.outcome,
        host_id=start.host_id,
        started_at=start.started_at,
        ended_at=start.started_at,
        duration_seconds=0.0,
        source_id=start.source_id,
        repository_id=start.repository_id,
        due_at=start.due_at,
        cause=result.cause,
        reason=reason[:REASON_CHARACTERS] if reason else None,
    )
    return replace(made, **result.more) if result.more else made


def lost(left: OpenRun) -> Run:
    """How a run ends that an agent left open: lost if it had begun, else it never came to be."""
    if not left.begun:
        reason = "The agent ended before the run began."
        return run_of(left.start, Result(outcome=Outcome.CANCELLED, cause="cancelled", reason=reason))
    ended_at = max(left.alive_at, left.start.started_at)
    reason = "The agent ended while the run was under way, and nobody saw how it went."
    return replace(
        run_of(left.start, Result(outcome=Outcome.LOST, cause="lost", reason=reason)),
        ended_at=ended_at,
        duration_seconds=(ended_at - left.start.started_at).total_seconds(),
    )
