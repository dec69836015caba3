"""What a running ``restic backup --json`` says, line by line.

Lines of both streams come in; progress, the summary, item errors, skipped sources and a bounded log come out.
Every line is tried as JSON first; what is no JSON is log text, and a message type that nobody knows is skipped.
Memory must not grow with the number of lines. Outside format: ``--json`` of restic 0.14.0 to 0.19.1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from lastgood.tools.restic import shapes
from lastgood.tools.restic.lines import HeadTail, without_escapes
from lastgood.tools.restic.times import believable_duration, believable_time

MOST_ITEMS = 100
_MOST_REMEMBERED = 10_000
_SKIPPED = re.compile(r"^(?P<path>.+) does not exist, skipping$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a backup is; ``fraction`` lies between 0 and 1 and never falls within a run."""

    fraction: float
    total_files: int
    done_files: int
    total_bytes: int
    done_bytes: int
    current_files: tuple[str, ...] = ()
    seconds_remaining: float | None = None
    error_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """restic's own account of a run; None where the release does not tell or tells nonsense."""

    files_new: int
    files_changed: int
    files_unmodified: int
    dirs_new: int
    dirs_changed: int
    dirs_unmodified: int
    total_files: int
    total_bytes: int
    added_bytes: int
    stored_bytes: int | None
    duration_seconds: float | None
    started_at: datetime | None
    ended_at: datetime | None
    snapshot_id: str | None
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """One file or folder that restic could not read; releases before 0.17.1 often give no message."""

    path: str
    message: str | None = None


Line = shapes.Status | shapes.Summary | shapes.ItemError | shapes.ExitError | str | None

_STRUCTS: dict[str, type[shapes.Status | shapes.Summary | shapes.ItemError | shapes.ExitError]] = {
    "status": shapes.Status,
    "summary": shapes.Summary,
    "error": shapes.ItemError,
    "exit_error": shapes.ExitError,
}


def classify(line: str) -> Line:
    """The struct of a JSON line, None for one that says nothing to us, or the cleaned text of any other line."""
    text = without_escapes(line).strip()
    if not text.startswith("{"):
        return text
    payload = text.encode("utf-8", "surrogatepass")
    try:
        envelope = msgspec.json.decode(payload, type=shapes.Envelope)
        struct = _STRUCTS.get(envelope.message_type)
        if struct is None or (struct is shapes.Status and envelope.action):
            return None
        return msgspec.json.decode(payload, type=struct)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text


class BackupOutput:
    """Reads a whole run; ``scrub`` takes secrets out of every text before it is kept."""

    def __init__(self, scrub: Callable[[str], str] = str) -> None:
        self._scrub = scrub
        self._fraction = 0.0
        self._items: dict[str, ItemError] = {}
        self._remembered: set[str] = set()
        self.summary: BackupSummary | None = None
        self.exit_error: shapes.ExitError | None = None
        self.error_count = 0
        self.unread_count = 0
        self.skipped_sources: list[str] = []
        self.log = HeadTail()
        self._errors = HeadTail(50, 50)

    @property
    def item_errors(self) -> tuple[ItemError, ...]:
        """The first items that could not be read; ``error_count`` counts them all."""
        return tuple(self._items.values())

    def error_text(self) -> str:
        """What is left of standard error, restic's JSON ending last, for the diagnosis."""
        if self.exit_error is None:
            return self._errors.text()
        ending = {"message_type": "exit_error", "code": self.exit_error.code, "message": self.exit_error.message}
        return f"{self._errors.text()}\n{msgspec.json.encode(ending).decode()}"

    def stdout(self, line: str) -> Progress | None:
        """Take a line of standard output; the progress, if it told one."""
        return self._take(line, is_error_stream=False)

    def stderr(self, line: str) -> None:
        """Take a line of standard error."""
        self._take(line, is_error_stream=True)

    def _take(self, line: str, *, is_error_stream: bool) -> Progress | None:
        match classify(line):
            case shapes.Status() as status:
                return self._progress(status)
            case shapes.Summary() as summary:
                self.summary = _summary(summary)
            case shapes.ItemError() as error:
                self._item(error)
            case shapes.ExitError() as ended:
                self.exit_error = ended
                self._log(ended.message.split("\n", 1)[0], is_error_stream=False)
            case str() as text if text:
                self._log(text, is_error_stream=is_error_stream)
        return None

    def _log(self, text: str, *, is_error_stream: bool) -> None:
        if is_error_stream:
            skipped = _SKIPPED.match(text)
            if skipped and len(self.skipped_sources) < MOST_ITEMS:
                self.skipped_sources.append(self._scrub(skipped["path"]))
            self._errors.add(text)
        self.log.add(self._scrub(text))

    def _progress(self, status: shapes.Status) -> Progress:
        # Totals grow while the scan runs, so restic's own percentage falls now and then.
        self._fraction = max(self._fraction, min(1.0, max(0.0, status.percent_done)))
        return Progress(
            fraction=self._fraction,
            total_files=max(0, status.total_files),
            done_files=max(0, status.files_done),
            total_bytes=max(0, status.total_bytes),
            done_bytes=max(0, status.bytes_done),
            current_files=tuple(map(self._scrub, status.current_files or ())),
            seconds_remaining=believable_duration(status.seconds_remaining),
            error_count=max(0, status.error_count),
        )

    def _item(self, error: shapes.ItemError) -> None:
        found = _described(error)
        message = None if found is None else self._scrub(found)
        self.log.add(self._scrub(f"error: {error.item}: {found or 'no message'}"))
        if error.item in self._remembered:
            # The scan and the archival both report the item; the second may know more.
            known = self._items.get(error.item)
            if known is not None and known.message is None and message is not None:
                self._items[error.item] = ItemError(path=self._scrub(error.item), message=message)
        elif len(self._remembered) < _MOST_REMEMBERED or error.during != "scan":
            self.error_count += 1
            if len(self._remembered) < _MOST_REMEMBERED:
                self._remembered.add(error.item)
            if len(self._items) < MOST_ITEMS:
                self._items[error.item] = ItemError(path=self._scrub(error.item), message=message)
        if error.during != "scan":
            self.unread_count += 1


def _described(error: shapes.ItemError) -> str | None:
    """The text of an item error, made from Go's error number where a release gives nothing else."""
    try:
        detail = msgspec.json.decode(error.error, type=shapes.ErrorDetail | str | None)
    except msgspec.DecodeError:
        return error.message
    if detail is None or isinstance(detail, str):
        return detail or error.message
    if detail.message:
        return detail.message.split("\n", 1)[0]
    if detail.number is not None:
        return " ".join(part for part in (detail.operation, detail.path) if part) + f": {_reason(detail.number)}"
    return error.message


def _reason(number: int) -> str:
    return os.strerror(number).lower() if 0 < number < 4096 else f"error {number}"


def _summary(shape: shapes.Summary) -> BackupSummary:
    return BackupSummary(
        files_new=shape.files_new,
        files_changed=shape.files_changed,
        files_unmodified=shape.files_unmodified,
        dirs_new=shape.dirs_new,
        dirs_changed=shape.dirs_changed,
        dirs_unmodified=shape.dirs_unmodified,
        total_files=shape.total_files_processed,
        total_bytes=shape.total_bytes_processed,
        added_bytes=shape.data_added,
        stored_bytes=shape.data_added_packed,
        duration_seconds=believable_duration(shape.total_duration),
        started_at=believable_time(shape.backup_start),
        ended_at=believable_time(shape.backup_end),
        # The id that a dry run prints names a snapshot that does not exist.
        snapshot_id=None if shape.dry_run else shape.snapshot_id or None,
        dry_run=shape.dry_run,
    )
