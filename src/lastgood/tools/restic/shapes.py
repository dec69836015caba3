"""restic's JSON payloads, as restic 0.14 to 0.19 print them.

Bytes of a restic process come in, structs go to ``output`` and ``documents``. A field that some release leaves
out (restic leaves out every zero) needs a default here; unknown fields are ignored, so newer releases stay
readable. Outside format: ``--json`` of restic 0.14.0 to 0.19.1.
"""

from __future__ import annotations

import msgspec


class Envelope(msgspec.Struct):
    """What tells the lines of one stream apart."""

    message_type: str = ""
    # 0.14 and 0.15 label the verbose "scan_finished" line as a status; only its action gives it away.
    action: str = ""


class Status(msgspec.Struct):
    """How far a backup is; totals grow while the scan runs."""

    percent_done: float = 0.0
    total_files: int = 0
    files_done: int = 0
    total_bytes: int = 0
    bytes_done: int = 0
    seconds_elapsed: float = 0
    seconds_remaining: float | None = None
    error_count: int = 0
    current_files: list[str] | None = None


class Counts(msgspec.Struct):
    """Numbers that the summary of a run and the summary inside a snapshot share."""

    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    data_added: int = 0
    data_added_packed: int | None = None  # since 0.17
    total_files_processed: int = 0
    total_bytes_processed: int = 0
    backup_start: str | None = None  # since 0.18 in the run, since 0.17 in the snapshot
    backup_end: str | None = None


class Summary(Counts):
    """Last line of a backup that made or skipped a snapshot."""

    total_duration: float | None = None
    snapshot_id: str | None = None
    dry_run: bool = False


class ItemError(msgspec.Struct):
    """One file or folder that could not be read; what ``error`` holds depends on the release."""

    error: msgspec.Raw = msgspec.Raw(b"{}")
    during: str = ""
    item: str = ""
    message: str | None = None  # the error lines of check put the text here


class ErrorDetail(msgspec.Struct):
    """``{"message"}`` since 0.17.1; before, ``{}`` or the fields of Go's PathError."""

    message: str | None = None
    operation: str | None = msgspec.field(default=None, name="Op")
    path: str | None = msgspec.field(default=None, name="Path")
    number: int | None = msgspec.field(default=None, name="Err")


class ExitError(msgspec.Struct):
    """Why restic ends with another code than 0; since 0.18."""

    code: int = 1
    message: str = ""


class RestoreStatus(msgspec.Struct):
    """How far a restore is, and its summary; since 0.16."""

    percent_done: float = 0.0
    total_files: int = 0
    files_restored: int = 0
    total_bytes: int = 0
    bytes_restored: int = 0
    seconds_remaining: float | None = None


class CheckSummary(msgspec.Struct):
    """Last line of a check; since 0.18. A suggested prune means waste, no damage."""

    num_errors: int | None = None
    broken_packs: list[str] | None = None
    suggest_repair_index: bool = False
    suggest_prune: bool = False


class WorkError(msgspec.Struct):
    """An error line of check (its text in ``message``) or of restore (in ``error``)."""

    error: ErrorDetail | None = None
    message: str | None = None
    item: str = ""


class Snapshot(msgspec.Struct):
    """One element of ``snapshots``; its summary exists where the writing client was 0.17 or newer."""

    id: str
    time: str
    tree: str | None = None
    short_id: str | None = None
    parent: str | None = None
    paths: list[str] | None = None
    hostname: str | None = None
    username: str | None = None
    tags: list[str] | None = None
    original: str | None = None
    program_version: str | None = None
    summary: Counts | None = None


class ForgetGroup(msgspec.Struct):
    """One group of ``forget``; both lists may be null."""

    keep: list[Snapshot] | None = None
    remove: list[Snapshot] | None = None


class Stats(msgspec.Struct):
    """Answer of ``stats --mode raw-data``; compression fields only in repositories of format 2."""

    total_size: int
    total_uncompressed_size: int | None = None
    compression_ratio: float | None = None
    total_blob_count: int = 0
    snapshots_count: int = 0


class Config(msgspec.Struct):
    """Answer of ``cat config``; ``id`` is the true name of a repository."""

    id: str
    version: int


class Lock(msgspec.Struct):
    """Answer of ``cat lock``."""

    time: str | None = None
    exclusive: bool = False
    hostname: str | None = None
    username: str | None = None
    pid: int | None = None


class Version(msgspec.Struct):
    """Answer of ``version --json`` since 0.17."""

    version: str
