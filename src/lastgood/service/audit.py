"""The audit log of a running hub: writes entries, signs heads, lets old rows go behind checkpoints.

Comes in: entries of the web and of the hub's own rounds. Goes out: rows on disk, a signed head beside the secret key,
one line a day for whoever keeps logs elsewhere. The one rule: ``write`` returns once the row is on disk, so that what
must not happen unseen is begun behind it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection

from lastgood.auth.chain import Head, chain_keys, head_is_signed, sign_checkpoint, sign_head
from lastgood.auth.identity import KeyPair
from lastgood.clock import Clock
from lastgood.config.settings import Settings
from lastgood.errors import StoreError
from lastgood.model.audit import ACTIONS, SET_BACK, THE_HUB, Entry
from lastgood.service.audit_past import NOTED, Noted, is_another, look_back, set_back
from lastgood.store import audit as rows
from lastgood.store import records
from lastgood.store.database import Database
from lastgood.store.lease import Lease

HEAD_FILE = "audit.head"
LARGEST_HEAD = 4096
ROUND_SECONDS = 30.0
TRIM_EVERY = timedelta(hours=1)
TELL_EVERY = timedelta(days=1)

_log = structlog.get_logger("lastgood.audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How far the log has come; for metrics."""

    seq: int
    at: datetime


def head_files(settings: Settings) -> tuple[Path, ...]:
    """Where the newest head is kept: beside the secret key, or in the data folder if nothing may be written there."""
    server = settings.server
    return tuple(dict.fromkeys((server.key_path.with_name(HEAD_FILE), server.data_dir / HEAD_FILE)))


def read_head(path: Path) -> Head | None:
    """The head in a file; None if there is none that can be read."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST_HEAD), type=Head)
    except (OSError, msgspec.DecodeError):
        return None


class Audit:
    """``totals`` are counted since the log began. Raises StoreError where the database refuses."""

    def __init__(
        self, database: Database, secret_key: bytes, hub_keys: KeyPair, clock: Clock, settings: Settings, lease: Lease
    ) -> None:
        self._database = database
        self._secret_key = secret_key
        self._keys = chain_keys(secret_key)
        self._hub_keys = hub_keys
        self._clock = clock
        self._files = head_files(settings)
        self._keep_for = timedelta(days=settings.audit.days)
        self._lease = lease
        self._last: rows.Last | None = None
        self._kept: int | None = None
        self._owed: list[Entry] = []
        self._trim_at: datetime | None = None
        self._told_at: datetime | None = None
        self._noted = Noted()
        self._backed_up_at: Callable[[], datetime | None] = lambda: None
        self.totals: dict[str, int] = dict.fromkeys(ACTIONS, 0)
        self.failures = 0

    # --- writing ----------------------------------------------------------------------------------------------

    async def write(self, entry: Entry) -> int:
        """The number of the row, once it is on disk. Raises StoreError."""
        now = self._clock()

        def append(connection: Connection) -> tuple[rows.Last, rows.Last | None]:
            gone = self._gone(connection)
            if gone is not None:
                rows.append(connection, set_back(gone.seq, gone.hash.hex(), None), now, self._keys)
            return rows.append(connection, entry, now, self._keys), gone

        try:
            written, gone = await self._database.write(append)
        except StoreError:
            self.failures += 1
            raise
        if gone is not None:
            _log.error("the audit log was cut off or changed while the hub ran", row=gone.seq)
            self.totals[SET_BACK] = self.totals.get(SET_BACK, 0) + 1
        if gone is not None or self._last is None or written.seq > self._last.seq:
            self._last = written
        if entry.begun is None:
            self.totals[entry.action] = self.totals.get(entry.action, 0) + 1
        return written.seq

    async def note(self, entry: Entry) -> None:
        """Write what has happened already; a log that cannot be written is told, and stops nothing."""
        try:
            await self.write(entry)
        except StoreError as error:
            _log.error("the audit log could not be written", action=entry.action, error=str(error))

    def _gone(self, connection: Connection) -> rows.Last | None:
        """The newest row that we know of, if the log does not hold it any more and never let it go."""
        known = self._last  # it was on disk before this transaction began
        return known if known is not None and is_another(connection, known.seq, known.hash) else None

    # --- heads ------------------------------------------------------------------------------------------------

    @property
    def moment(self) -> Moment | None:
        """None before the first row."""
        return None if self._last is None else Moment(seq=self._last.seq, at=self._last.at)

    def head(self) -> Head | None:
        """How far the log has come, signed now; None before the first row."""
        if self._last is None:
            return None
        return sign_head(self._hub_keys, self._last.seq, self._last.hash, self._clock())

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self, backed_up_at: Callable[[], datetime | None] = lambda: None) -> None:
        """Compare the log with the heads that were kept, and write that the hub begins."""
        self._backed_up_at = backed_up_at
        self._told_at = self._clock()
        try:
            await self._look_back()
            await self._pay()
        except StoreError as error:  # a full disk keeps no hub from telling what it knows; the next round tries again
            _log.error("the audit log could not be begun", error=str(error))

    async def _look_back(self) -> None:
        kept = await asyncio.to_thread(lambda: [head for path in self._files if (head := read_head(path))])
        ours = [head for head in kept if head_is_signed(head, self._hub_keys.public_key)]
        newest = max(ours, key=lambda head: head.seq, default=None)
        look = partial(look_back, head=newest, fingerprint=self._hub_keys.fingerprint, secret_key=self._secret_key)
        past = await self._database.read(look)
        self._last, self._noted, self._owed = past.last, past.noted, past.owed
        await self._refresh()

    async def stop(self) -> None:
        """Write that the hub ends, and keep the last head; for one that never began there is nothing to tell."""
        if self._told_at is None:
            return
        await self.note(Entry(action="hub.stop", who=THE_HUB))
        await self._keep_head()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.round()
            except StoreError as error:
                _log.error("the audit log's chores were put off", error=str(error))
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """What is owed, the head beside the key, old rows, and the line of the day. Raises StoreError."""
        await self._pay()
        await self._note_backup()
        await self._trim()
        await self._refresh()
        await self._keep_head()
        self._tell()

    async def _pay(self) -> None:
        """Write what the start owes; what could not be written is owed on."""
        while self._owed:
            await self.write(self._owed[0])
            del self._owed[0]
            if not self._owed:
                await self._note()

    async def _note(self) -> None:
        text = msgspec.json.encode(self._noted).decode()
        await self._database.write(lambda connection: records.set_meta(connection, NOTED, text))

    async def _note_backup(self) -> None:
        made_at = self._backed_up_at()
        if made_at is None or made_at == self._noted.backed_up_at:
            return
        await self.write(Entry(action="hub.backup", who=THE_HUB, details={"made_at": made_at.isoformat()}))
        self._noted = msgspec.structs.replace(self._noted, backed_up_at=made_at)
        await self._note()

    async def _trim(self) -> None:
        now = self._clock()
        if not self._lease.held("history") or (self._trim_at is not None and now < self._trim_at):
            return
        sign = partial(sign_checkpoint, self._hub_keys)
        trim = partial(rows.trim, before=now - self._keep_for, at=now, keys=self._keys, sign=sign)
        while await self._database.write(trim) >= rows.MOST_REMOVED:
            pass
        self._trim_at = now + TRIM_EVERY

    async def _refresh(self) -> None:
        """Take over what commands beside the hub have written; nothing of a log that is not ours any more, which the
        next row tells of."""
        last, totals, gone = await self._database.read(
            lambda connection: (rows.last(connection), rows.totals(connection), self._gone(connection))
        )
        if gone is None and last is not None and (self._last is None or last.seq >= self._last.seq):
            self._last = last
            self.totals |= totals

    async def _keep_head(self) -> None:
        head = self.head()
        if head is None or head.seq == self._kept:
            return
        if await asyncio.to_thread(_keep, head, self._files):
            self._kept = head.seq
        else:
            _log.warning("the audit log's head could not be kept", files=[str(path) for path in self._files])

    def _tell(self) -> None:
        now, head = self._clock(), self.head()
        if head is None or (self._told_at is not None and now < self._told_at + TELL_EVERY):
            return
        self._told_at = now
        _log.info("audit head", seq=head.seq, hash=head.hash, at=head.at.isoformat(), signature=head.signature)


def _keep(head: Head, files: Sequence[Path]) -> bool:
    """Put the head into the first place that takes it."""
    content = msgspec.json.encode(head) + b"\n"
    for path in files:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:  # noqa: PTH123 - the descriptor carries flags and mode
                file.write(content)
            draft.rename(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            continue
        return True
    return False
