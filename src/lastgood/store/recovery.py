"""Whose recovery key opens the hub's own backups, and who took it: one note of the database.

The one rule: the key itself is never here; the recipient can lock a backup and open none.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from lastgood.store.records import get_meta, set_meta

KIT = "recovery.kit"


class Kit(msgspec.Struct, frozen=True, kw_only=True):
    """The newest recovery kit; ``taken`` counts how many there were, each with a key of its own."""

    recipient: str
    taken_by: str
    taken_at: datetime
    taken: int = 1


def load_kit(connection: Connection) -> Kit | None:
    """None while nobody has taken one."""
    return read_kit(get_meta(connection, KIT))


def read_kit(note: str | None) -> Kit | None:
    return None if note is None else msgspec.json.decode(note, type=Kit)


def save_kit(connection: Connection, recipient: str, taken_by: str, taken_at: datetime) -> Kit:
    """From now on backups are for this recipient alone."""
    before = load_kit(connection)
    taken = 1 if before is None else before.taken + 1
    kit = Kit(recipient=recipient, taken_by=taken_by, taken_at=taken_at, taken=taken)
    set_meta(connection, KIT, msgspec.json.encode(kit).decode())
    return kit
