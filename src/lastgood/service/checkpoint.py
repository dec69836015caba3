"""Keeps the state rows close behind the fleet, and makes the fleet of them again at a start.

Ingest notes what each learned fact touched; every few seconds the values noted so far are written in one transaction
with the place in the log that they stand for, and the log is trimmed behind it. The one rule: what is written is what
the fleet held right after the fact ``folded_upto``; values are captured as they change, never read later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection

from lastgood.errors import ConfigError, StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.fleet.learn import Changes, learn
from lastgood.fleet.ledger import LedgerRow
from lastgood.model.fact import Fact
from lastgood.store import log
from lastgood.store.database import GROUP_WEIGHT, Database
from lastgood.store.history import save_ledger
from lastgood.store.log import Quarantined, Unreadable
from lastgood.store.rows import Key, encode_rows, load, rows_of, save_rows, totals_of

EVERY_SECONDS = 5.0
EVERY_FACTS = 20_000
ROWS_AT_ONCE = 50
ROWS_A_STATEMENT = 500
PAUSE_SECONDS = 0.0005
"""Between some rows and the next, so that the event loop need not fight a second thread for the interpreter."""

PARTS = 64

_K = TypeVar("_K")
_V = TypeVar("_V")
Encoded = tuple[list[dict[str, Any]], list[Key]]

_log = structlog.get_logger("lastgood.checkpoint")


class _Parted(Generic[_K, _V]):
    """A large mapping in many small dictionaries: one that grows pauses for what it holds, a small one briefly."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[dict[_K, _V]] = [{} for _ in range(PARTS)]

    def put(self, key: _K, value: _V) -> None:
        self.parts[hash(key) % PARTS][key] = value

    def update(self, later: _Parted[_K, _V]) -> None:
        for part, other in zip(self.parts, later.parts, strict=True):
            part.update(other)

    def some(self, most: int) -> Iterator[dict[_K, _V]]:
        """All of it, some at a time."""
        left = chain.from_iterable(part.items() for part in self.parts)
        while some := dict(islice(left, most)):
            yield some

    def free(self) -> None:
        """Forget it all, part by part: freeing it in one piece would hold every thread."""
        for part in self.parts:
            pause = PAUSE_SECONDS if len(part) > ROWS_AT_ONCE else 0
            part.clear()
            time.sleep(pause)


@dataclass(slots=True)
class _Noted:
    """What changed since a checkpoint; the newest value of each row."""

    rows: _Parted[Key, Any] = field(default_factory=lambda: _Parted())
    moments: _Parted[tuple[str, datetime], LedgerRow] = field(default_factory=lambda: _Parted())
    quarantined: list[Quarantined] = field(default_factory=list)
    facts: int = 0
    weight: int = 0
    """About how many rows."""

    def add(self, later: _Noted) -> None:
        """Take in what was noted later."""
        self.rows.update(later.rows)
        self.moments.update(later.moments)
        self.quarantined += later.quarantined
        self.facts += later.facts
        self.weight += later.weight


class Checkpoint:
    """Notes changes of one fleet and writes them. ``learned_upto`` is the last place of the log that was learned."""

    def __init__(self, database: Database, fleet: Fleet, folded_upto: int = 0) -> None:
        self._database = database
        self._fleet = fleet
        self._noted = _Noted()
        self._saving = asyncio.Lock()
        self._many = asyncio.Event()
        self.folded_upto = folded_upto
        self.learned_upto = folded_upto
        self.saves = 0
        self.failures = 0
        self.save_seconds = 0.0

    def note(self, seq: int, told: Fact, changes: Changes) -> None:
        """Capture what the fact at ``seq`` touched; called right after it was learned."""
        noted = self._noted
        for key, value in rows_of(self._fleet, changes, type(told)).items():
            noted.rows.put(key, value)
        for row in changes.moments:
            noted.moments.put((row.source_id, row.due_at), row)
        noted.weight += len(changes.moments)
        self._count(seq)

    def set_aside(self, case: Quarantined) -> None:
        """The fact at this place could not be learned; the next checkpoint puts it into quarantine."""
        self._noted.quarantined.append(case)
        self._count(case.seq)

    def _count(self, seq: int) -> None:
        self.learned_upto = seq
        self._noted.facts += 1
        self._noted.weight += 1
        if self._noted.weight >= EVERY_FACTS:
            self._many.set()

    async def run(self) -> None:
        """Until cancelled: save every few seconds, sooner after many facts. A failure is counted and tried again."""
        while True:
            try:
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._many.wait()
            except TimeoutError:
                pass
            self._many.clear()
            try:
                await self.save()
            except StoreError as error:
                _log.error("the checkpoint was not written, the log keeps growing", error=str(error))
                await asyncio.sleep(EVERY_SECONDS)

    async def save(self) -> bool:
        """Write what was noted; False if there was nothing. Raises StoreError; whatever rises, all stays noted."""
        async with self._saving:
            if not self._noted.facts:
                return False
            began = time.monotonic()
            noted, self._noted = self._noted, _Noted()
            upto = self.learned_upto
            saved = False
            try:
                parts = await self._write(noted, totals_of(self._fleet), upto)
                saved = True
            finally:
                if not saved:  # also when cancelled: writing it once more changes nothing, forgetting it would
                    noted.add(self._noted)
                    self._noted = noted
                    self.failures += 1
            self.folded_upto = upto
            self.saves += 1
            self.save_seconds += time.monotonic() - began
            await asyncio.to_thread(_let_go, noted, parts)  # may be cut off: all that counts is done
            return True

    async def _write(self, noted: _Noted, totals: dict[Key, Any], upto: int) -> list[Encoded]:
        try:
            parts = await asyncio.to_thread(lambda: [*_encoded(noted.rows), encode_rows(totals)])
        except (TypeError, ValueError) as error:
            raise StoreError(f"The fleet cannot be written ({error}); please report it.", retry=False) from error

        def write(connection: Connection) -> None:
            log.save_quarantine(connection, noted.quarantined)
            for some in noted.moments.some(ROWS_A_STATEMENT):
                save_ledger(connection, some.values())
            for keep, gone in parts:
                save_rows(connection, keep, gone, upto)
            log.trim(connection, upto)

        await self._database.write(write, weight=GROUP_WEIGHT)
        return parts


def _encoded(rows: _Parted[Key, Any]) -> Iterator[Encoded]:
    """The rows as the store keeps them, as many as one statement should have at a time."""
    keep: list[dict[str, Any]] = []
    gone: list[Key] = []
    for some in rows.some(ROWS_AT_ONCE):
        encoded = encode_rows(some)
        keep += encoded[0]
        gone += encoded[1]
        if len(keep) + len(gone) >= ROWS_A_STATEMENT:
            yield keep, gone
            keep, gone = [], []
        time.sleep(PAUSE_SECONDS)
    yield keep, gone


def _let_go(noted: _Noted, parts: list[Encoded]) -> None:
    """Free what was written."""
    noted.rows.free()
    noted.moments.free()
    while parts:
        parts.pop()


async def restore(database: Database) -> tuple[Fleet, Checkpoint]:
    """The fleet of this database: its rows, and the tail of the log folded into them.

    Raises ConfigError if the rows cannot be read. A fact that cannot be learned goes to quarantine, as it did or
    would have done before.
    """
    try:
        return await database.read(lambda connection: _restore(connection, database))
    except StoreError as error:
        raise ConfigError(str(error)) from error


def _restore(connection: Connection, database: Database) -> tuple[Fleet, Checkpoint]:
    fleet, folded_upto = load(connection)
    checkpoint = Checkpoint(database, fleet, folded_upto)
    while facts := log.tail(connection, checkpoint.learned_upto):
        for seq, told in facts:
            if isinstance(told, Unreadable):
                checkpoint.set_aside(Quarantined(seq, told, told.reason))
                continue
            try:
                changes = learn(fleet, told)
            except Exception as error:  # noqa: BLE001 - as in ingest: one fact must not keep the hub from starting
                checkpoint.set_aside(Quarantined.by(error, seq, told))
                continue
            checkpoint.note(seq, told, changes)
    return fleet, checkpoint
