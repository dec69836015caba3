"""What a hub finds of its audit log: whether it still is the one that it knows, and what a start writes of that.

Comes in: the log, the newest head that is known, what was noted. Goes out: entries. The one rule: the word that a
backup was restored counts only where the secret key signed it, and only for heads that are older; whoever can write
into the database alone explains nothing away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog
from sqlalchemy import Connection

from lastgood import __version__
from lastgood.auth.chain import Head, restore_is_signed
from lastgood.model.audit import BEGIN, SET_BACK, THE_HUB, Entry
from lastgood.store import audit as rows
from lastgood.store import records
from lastgood.store.copying import Restored, was_restored

NOTED = "audit.noted"

_log = structlog.get_logger("lastgood.audit")


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What was written of things that happen beside the hub, so that a start does not write it again."""

    restored_at: datetime | None = None
    backed_up_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a start found: the newest row, what was noted, and the entries that it owes to the log."""

    last: rows.Last | None
    noted: Noted
    owed: list[Entry]


def look_back(connection: Connection, head: Head | None, fingerprint: str, secret_key: bytes) -> Past:
    """Compare the log with the newest head that was kept."""
    noted = _noted(connection)
    news = _news(connection, noted, secret_key)
    entries = _beginning(connection, fingerprint)
    if head is not None and is_another(connection, head.seq, bytes.fromhex(head.hash)):
        made_at = news.made_at if news is not None and head.at <= news.restored_at else None
        entries.append(set_back(head.seq, head.hash, made_at))
        _log.error("the audit log does not hold what its kept head tells", head=head.seq, restored_from=made_at)
    if news is not None:
        entries.append(Entry(action="hub.restore", who=THE_HUB, details={"made_at": news.made_at.isoformat()}))
        noted = msgspec.structs.replace(noted, restored_at=news.restored_at)
    entries.append(Entry(action="hub.start", who=THE_HUB, details={"version": __version__}))
    return Past(last=rows.last(connection), noted=noted, owed=entries)


def is_another(connection: Connection, seq: int, hash_: bytes) -> bool:
    """Whether the log is not the one that had this row. A row that is not there any more tells nothing."""
    last = rows.last(connection)
    if last is None or seq > last.seq:
        return True
    held = rows.hash_of(connection, seq)
    return held is not None and held != hash_


def set_back(seq: int, hash_: str, made_at: datetime | None) -> Entry:
    """Rows that were known are gone; ``made_at`` is of the backup that explains it."""
    restored_from = None if made_at is None else made_at.isoformat()
    details = {"head_seq": seq, "head_hash": hash_, "restored_from": restored_from}
    return Entry(action=SET_BACK, who=THE_HUB, details=details)


def _noted(connection: Connection) -> Noted:
    text = records.get_meta(connection, NOTED)
    return Noted() if text is None else msgspec.json.decode(text, type=Noted)


def _beginning(connection: Connection, fingerprint: str) -> list[Entry]:
    if rows.last(connection) is not None:
        return []
    entries = [Entry(action=BEGIN, who=THE_HUB, details={"version": __version__, "fingerprint": fingerprint})]
    if records.alive_at(connection) is None:
        entries.append(Entry(action="hub.key_made", who=THE_HUB, details={"fingerprint": fingerprint}))
    return entries


def _news(connection: Connection, noted: Noted, secret_key: bytes) -> Restored | None:
    """A restore of which the log does not tell yet."""
    restored = was_restored(connection)
    if restored is None or restored.restored_at == noted.restored_at:
        return None
    if restore_is_signed(secret_key, restored.made_at, restored.restored_at, restored.proof):
        return restored
    _log.warning("the note that a backup was restored is none that lastgood wrote", made_at=restored.made_at)
    return None
