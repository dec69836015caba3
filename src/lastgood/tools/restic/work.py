"""One long command that is no backup: check, prune, restore; and forget, whose answer is one document.

Argument lists and a ``Launch`` come in; how it ended, why, and a bounded, scrubbed log go out, and progress while a
restore runs. The one rule: every text that leaves is scrubbed, and nothing grows with the length of a run. Outside
format: JSON lines and text of restic 0.14 to 0.19; a line that is no JSON is log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from lastgood.tools.restic import process, shapes
from lastgood.tools.restic.backup import Launch, ProgressSink, Throttle
from lastgood.tools.restic.causes import Diagnosis, diagnose
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.lines import HeadTail, LineSplitter, without_escapes
from lastgood.tools.restic.output import Progress
from lastgood.tools.restic.times import believable_duration

_COUNTER = re.compile(r"^\[\d+:\d{2}(?::\d{2})?\] +(?P<percent>\d+\.\d+)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """How a command ended. ``found.cause`` is OK if it ended well; ``forced`` warns of a lock left behind.

    ``exit_code`` is None if it was never started; ``restored`` is restic's own account of a restore, from 0.16 on.
    """

    found: Diagnosis
    exit_code: int | None
    forced: bool
    log: HeadTail
    errors: str = ""
    restored: shapes.RestoreStatus | None = None


async def run(
    place: Place, arguments: Sequence[str], launch: Launch, on_progress: ProgressSink | None = None
) -> Worked:
    """Run a command to its end; CancelledError only if the calling task itself is cancelled."""
    output = WorkOutput(place.redactor(), on_progress)
    if launch.cancel.is_set():
        return Worked(
            found=diagnose(0, "", place.label, cancelled=True), exit_code=None, forced=False, log=output.log
        )
    ended = await process.run(
        [launch.binary, *arguments],
        launch.environment,
        on_stdout=output.stdout,
        on_stderr=output.stderr,
        deadline_after=launch.deadline_after,
        cancel=launch.cancel,
        grace_seconds=launch.grace_seconds,
    )
    output.close()
    errors = output.error_text()
    found = diagnose(
        ended.exit_code,
        errors,
        place.label,
        cancelled=ended.stopped == "cancelled",
        # A command that completed in the moment of its deadline has completed.
        deadline_hit=ended.stopped == "deadline" and ended.exit_code != 0,
    )
    return Worked(
        found=found,
        exit_code=ended.exit_code,
        forced=ended.forced,
        log=output.log,
        errors=errors,
        restored=output.restored,
    )


class WorkOutput:
    """Reads both streams of one command."""

    def __init__(self, scrub: Callable[[str], str], on_progress: ProgressSink | None = None) -> None:
        self._scrub = scrub
        self._throttle = Throttle(on_progress)
        self._out, self._err = LineSplitter(), LineSplitter()
        self._errors = HeadTail(50, 50)
        self._ending: shapes.ExitError | None = None
        self.log = HeadTail()
        self.restored: shapes.RestoreStatus | None = None

    def stdout(self, piece: bytes) -> None:
        self._read(self._out.feed(piece), is_error_stream=False)

    def stderr(self, piece: bytes) -> None:
        self._read(self._err.feed(piece), is_error_stream=True)

    def close(self) -> None:
        self._read(self._out.close(), is_error_stream=False)
        self._read(self._err.close(), is_error_stream=True)
        self._throttle.close()

    def error_text(self) -> str:
        """Scrubbed standard error, restic's JSON ending last, for the diagnosis."""
        if self._ending is None:
            return self._errors.text()
        ending = {
            "message_type": "exit_error",
            "code": self._ending.code,
            "message": self._scrub(self._ending.message),
        }
        return f"{self._errors.text()}\n{msgspec.json.encode(ending).decode()}"

    def _read(self, lines: Iterator[str], *, is_error_stream: bool) -> None:
        for line in lines:
            text = without_escapes(line).strip()
            if text.startswith("{") and self._take_json(text.encode("utf-8", "surrogatepass")):
                continue
            counter = _COUNTER.match(text)
            if text and (counter is None or counter["percent"] == "100.00"):
                self._keep(text, is_error_stream=is_error_stream)

    def _take_json(self, payload: bytes) -> bool:
        """Whether the line was a message that we know or may pass over."""
        try:
            kind = msgspec.json.decode(payload, type=shapes.Envelope).message_type
            if kind == "status":
                self._throttle.told(_progress(msgspec.json.decode(payload, type=shapes.RestoreStatus)))
            elif kind == "exit_error":
                self._ending = msgspec.json.decode(payload, type=shapes.ExitError)
                self._keep(self._ending.message.split("\n", 1)[0], is_error_stream=False)
            elif kind == "error":
                error = msgspec.json.decode(payload, type=shapes.WorkError)
                said = error.message or (error.error.message if error.error else None) or "no message"
                for part in (f"{error.item}: {said}" if error.item else said).splitlines():
                    if part.strip():
                        self._keep(part.strip(), is_error_stream=True)
            elif kind == "summary":
                self._summary(payload)
            else:
                return kind != ""
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        return True

    def _summary(self, payload: bytes) -> None:
        told = msgspec.json.decode(payload, type=shapes.RestoreStatus)
        if told.files_restored or told.total_files:
            self.restored = told
            said = f"restored: {told.files_restored} of {told.total_files} items, {told.bytes_restored} bytes"
            self._keep(said, is_error_stream=False)
        checked = msgspec.json.decode(payload, type=shapes.CheckSummary)
        if checked.num_errors is not None:
            hints = [f"errors found: {checked.num_errors}"]
            if checked.broken_packs:
                hints.append(f"broken packs: {', '.join(checked.broken_packs[:20])}")
            if checked.suggest_prune:
                hints.append("restic suggests a prune; that is waste, no damage")
            if checked.suggest_repair_index:
                hints.append("restic suggests to repair the index")
            for hint in hints:
                self._keep(hint, is_error_stream=False)

    def _keep(self, text: str, *, is_error_stream: bool) -> None:
        scrubbed = self._scrub(text)
        if is_error_stream:
            self._errors.add(scrubbed)
        self.log.add(scrubbed)


def _progress(status: shapes.RestoreStatus) -> Progress:
    return Progress(
        fraction=min(1.0, max(0.0, status.percent_done)),
        total_files=max(0, status.total_files),
        done_files=max(0, status.files_restored),
        total_bytes=max(0, status.total_bytes),
        done_bytes=max(0, status.bytes_restored),
        seconds_remaining=believable_duration(status.seconds_remaining),
    )
