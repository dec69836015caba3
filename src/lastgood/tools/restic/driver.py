"""The door to restic: version, probe, init, backup, snapshots, sizes, locks; ``upkeep`` builds on it.

A place comes in, frozen results go out. Queries take no lock and have a deadline each; they raise the CollectError
family with a sentence, and never turn an answer that is missing into an empty one. A repository is made only after
a clean "missing". Outside program: restic 0.14 to 0.19; it is never updated or installed from here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from lastgood.errors import BadPayload, CollectError, Refused, Unreachable
from lastgood.tools.restic import backup as backup_run
from lastgood.tools.restic import command, documents, process, work
from lastgood.tools.restic.causes import Cause, Diagnosis, diagnose
from lastgood.tools.restic.command import BackupOrder, Place
from lastgood.tools.restic.documents import Lock, RawStats, Snapshot, Version
from lastgood.tools.restic.program import DOCUMENT_BYTES, Answer, Program

_MOST_LOCKS_READ = 10
_EXISTS = "config file already exists"

ProbeStatus = Literal["ready", "missing", "unreachable", "wrong_password", "refused", "unknown"]
_PROBED: dict[Cause, ProbeStatus] = {
    Cause.OK: "ready",
    Cause.NO_REPOSITORY: "missing",
    Cause.UNREACHABLE: "unreachable",
    Cause.TIMEOUT: "unreachable",
    Cause.WRONG_PASSWORD: "wrong_password",
    Cause.STORE_CREDENTIALS: "refused",
    Cause.PERMISSION_DENIED: "refused",
}
_REFUSALS = (
    Cause.NO_REPOSITORY,
    Cause.WRONG_PASSWORD,
    Cause.PASSWORD_SOURCE,
    Cause.STORE_CREDENTIALS,
    Cause.PERMISSION_DENIED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds that each command may take."""

    probe: float = 60.0
    init: float = 120.0
    snapshots: float = 120.0
    stats: float = 1800.0
    locks: float = 60.0
    unlock: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """Whether a repository can be used; ``message`` is one sentence, empty when it is ready."""

    status: ProbeStatus
    repository_id: str | None
    message: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class InitResult:
    """The repository at a place; ``created`` is False if it was there already."""

    repository_id: str
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockResult:
    """The ids of the locks that are gone and of those that remain."""

    removed: tuple[str, ...]
    remaining: tuple[str, ...]


class Restic:
    """One restic binary with its cache; ``clock`` answers the present moment, ``inherited`` is our environment."""

    def __init__(
        self,
        *,
        cache_dir: Path,
        clock: Callable[[], datetime],
        binary: str | Path = "restic",
        inherited: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        grace_seconds: float = process.GRACE_SECONDS,
        lock_retry_seconds: float = backup_run.LOCK_RETRY_SECONDS,
        document_bytes: int = DOCUMENT_BYTES,
    ) -> None:
        self._program = Program(
            binary=str(binary),
            cache_dir=cache_dir,
            inherited=dict(os.environ if inherited is None else inherited),
            grace_seconds=grace_seconds,
            document_bytes=document_bytes,
        )
        self._clock = clock
        self._deadlines = deadlines or Deadlines()
        self._grace_seconds = grace_seconds
        self._lock_retry_seconds = lock_retry_seconds
        self._one_init = asyncio.Lock()

    async def version(self) -> Version:
        """The release of the binary, asked again when the file changes; ConfigError if absent or too old."""
        return await self._program.version()

    async def probe(self, place: Place) -> ProbeResult:
        """Whether ``place`` holds a repository that opens; an unclear answer is "unknown", never "missing"."""
        answer, found = await self._ask(place, command.probe(), self._deadlines.probe)
        if found.cause is not Cause.OK:
            status = _PROBED.get(found.cause, "unknown")
            return ProbeResult(status=status, repository_id=None, message=found.sentence, cause=found.cause)
        try:
            repository_id = documents.repository_id(answer.stdout)
        except BadPayload as error:
            return ProbeResult(status="unknown", repository_id=None, message=str(error), cause=Cause.OTHER)
        return ProbeResult(status="ready", repository_id=repository_id, message="", cause=Cause.OK)

    async def init(self, place: Place) -> InitResult:
        """Make a repository if the place is cleanly without one; one that is there already is left as it is."""
        # Two inits at once spoil the repository: each leaves a key that the other's config cannot be read with.
        async with self._one_init:
            return await self._init(place)

    async def _init(self, place: Place) -> InitResult:
        before = await self.probe(place)
        if before.repository_id is not None:
            return InitResult(repository_id=before.repository_id, created=False)
        if before.status != "missing":
            raise _error(before.cause, before.message)
        answer, found = await self._ask(place, command.init(), self._deadlines.init)
        # Somebody else may have been faster; whose repository it is, the probe tells.
        lost_the_race = _EXISTS in answer.stderr
        if found.cause is not Cause.OK and not lost_the_race:
            raise _error(found.cause, found.sentence)
        after = await self.probe(place)
        if after.repository_id is None:
            raise _error(after.cause, after.message)
        return InitResult(repository_id=after.repository_id, created=not lost_the_race)

    async def backup(
        self,
        place: Place,
        order: BackupOrder,
        *,
        on_progress: backup_run.ProgressSink | None = None,
        cancel: asyncio.Event | None = None,
        deadline_after: float | None = None,
    ) -> backup_run.BackupResult:
        """Run a backup; every end of restic is a result, only a missing or too old program raises (ConfigError).

        Setting ``cancel`` interrupts the run. Cancelling the calling task does too, and raises CancelledError.
        """
        launch = await self._launch(place, cancel, deadline_after)
        return await backup_run.run(place, order, launch, on_progress)

    async def work(
        self,
        place: Place,
        arguments: Sequence[str],
        *,
        on_progress: backup_run.ProgressSink | None = None,
        cancel: asyncio.Event | None = None,
        deadline_after: float | None = None,
    ) -> work.Worked:
        """Run another long command (``orders``); every end of restic is a result, as with ``backup``."""
        return await work.run(place, arguments, await self._launch(place, cancel, deadline_after), on_progress)

    async def document(
        self, place: Place, arguments: Sequence[str], *, cancel: asyncio.Event | None, deadline_after: float
    ) -> tuple[bytes, str, Diagnosis]:
        """The whole answer of a command, its scrubbed errors and why it failed, if it did."""
        answer, found = await self._ask(place, arguments, deadline_after, cancel)
        return answer.stdout, place.redactor()(answer.stderr), found

    async def _launch(
        self, place: Place, cancel: asyncio.Event | None, deadline_after: float | None
    ) -> backup_run.Launch:
        version = await self._program.version()
        return backup_run.Launch(
            binary=self._program.path(),
            version=version,
            environment=self._program.environment(place, version),
            clock=self._clock,
            deadline_after=deadline_after,
            cancel=cancel or asyncio.Event(),
            grace_seconds=self._grace_seconds,
            lock_retry_seconds=self._lock_retry_seconds,
        )

    async def snapshots(self, place: Place) -> list[Snapshot]:
        """Every snapshot in the repository; ``[]`` only if restic itself says that there is none."""
        answer = await self._query(place, command.snapshots(), self._deadlines.snapshots)
        return await asyncio.to_thread(documents.snapshots, answer)  # tens of thousands take a good while to read

    async def raw_stats(self, place: Place) -> RawStats:
        """The bytes that all snapshots reference in the repository."""
        return documents.raw_stats(await self._query(place, command.raw_stats(), self._deadlines.stats))

    async def lock_ids(self, place: Place) -> list[str]:
        """The ids of all locks, stale ones too."""
        return documents.lock_ids(await self._query(place, command.list_locks(), self._deadlines.locks))

    async def locks(self, place: Place) -> list[Lock]:
        """Every lock; beyond the first ten, and where a lock cannot be read, only the id is told."""
        ids = await self.lock_ids(place)
        read: dict[str, Lock] = {}
        for lock_id in ids[:_MOST_LOCKS_READ]:
            answer, found = await self._ask(place, command.cat_lock(lock_id), self._deadlines.locks / 4)
            if found.cause is Cause.OK:
                read[lock_id] = documents.lock(lock_id, answer.stdout)
        if len(read) < min(len(ids), _MOST_LOCKS_READ):
            # Locks come and go: one that could not be read has most likely been removed since.
            still_there = set(await self.lock_ids(place))
            ids = [lock_id for lock_id in ids if lock_id in read or lock_id in still_there]
        return [read.get(lock_id, Lock(id=lock_id)) for lock_id in ids]

    async def unlock(self, place: Place) -> UnlockResult:
        """Remove stale locks; restic's word on it is not to be trusted, so they are listed before and after."""
        before = await self.lock_ids(place)
        await self._query(place, command.unlock(), self._deadlines.unlock)
        after = await self.lock_ids(place)
        removed = tuple(lock_id for lock_id in before if lock_id not in after)
        return UnlockResult(removed=removed, remaining=tuple(after))

    async def _query(self, place: Place, arguments: Sequence[str], deadline_after: float) -> bytes:
        answer, found = await self._ask(place, arguments, deadline_after)
        if found.cause is not Cause.OK:
            raise _error(found.cause, found.sentence)
        return answer.stdout

    async def _ask(
        self, place: Place, arguments: Sequence[str], deadline_after: float, cancel: asyncio.Event | None = None
    ) -> tuple[Answer, Diagnosis]:
        version = await self._program.version()
        env = self._program.environment(place, version)
        answer = await self._program.collect(arguments, env, deadline_after, cancel)
        scrub = place.redactor()
        found = diagnose(
            answer.ended.exit_code,
            scrub(answer.stderr),
            place.label,
            cancelled=answer.ended.stopped == "cancelled",
            deadline_hit=answer.ended.stopped == "deadline" and answer.ended.exit_code != 0,
        )
        return answer, found


def _error(cause: Cause, sentence: str) -> CollectError:
    if cause in (Cause.UNREACHABLE, Cause.TIMEOUT):
        return Unreachable(sentence, cause=cause)
    if cause is Cause.LOCKED:
        return Refused(sentence, cause=cause)
    if cause in _REFUSALS:
        return Refused(sentence, retry=False, cause=cause)
    return CollectError(sentence, cause=cause)
