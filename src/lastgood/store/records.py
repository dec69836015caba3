"""Small records beside the fleet: when agents were seen, sealed secrets, and notes of the database about itself.

None of them is a fact: they are overwritten in place and nothing is folded from them. The one rule: secrets arrive
here sealed and leave sealed; who may open them is not decided in this package.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select

from lastgood.store.schema import meta, presence, secrets, upsert

Seen = tuple[datetime | None, datetime | None]
"""(seen_at, observed_at) of ``model.host.Presence``."""

ALIVE_AT = "alive_at"
_MEMORY = "collector:"
PUBLIC_URL = "public_url"
"""Where the hub was last reached, for commands beside it that print links."""


def get_meta(connection: Connection, key: str) -> str | None:
    """A note of the database about itself."""
    return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()


def set_meta(connection: Connection, key: str, value: str) -> None:
    upsert(connection, meta, [{"key": key, "value": value}])


def save_alive(connection: Connection, at: datetime) -> None:
    """Note that we are running; the last note before a start tells since when we were not."""
    set_meta(connection, ALIVE_AT, at.isoformat())


def alive_at(connection: Connection) -> datetime | None:
    """When we last noted that we are running, None for a fresh database."""
    noted = get_meta(connection, ALIVE_AT)
    return None if noted is None else datetime.fromisoformat(noted)


def get_memory(connection: Connection, name: str) -> bytes | None:
    """What the collector of this name keeps over a restart."""
    held = get_meta(connection, _MEMORY + name)
    return None if held is None else b64decode(held)


def set_memory(connection: Connection, name: str, held: bytes) -> None:
    set_meta(connection, _MEMORY + name, b64encode(held).decode())


def save_presence(connection: Connection, seen: Mapping[str, Seen]) -> None:
    """Keep when these hosts were last seen; heartbeats are coalesced by the caller, since only the latest matters."""
    rows = [{"host_id": i, "seen_at": seen_at, "observed_at": at} for i, (seen_at, at) in seen.items()]
    upsert(connection, presence, rows)


def load_presence(connection: Connection) -> dict[str, Seen]:
    """Host id -> when it was last seen, of every host there ever was a word of."""
    return {host_id: (seen_at, at) for host_id, seen_at, at in connection.execute(select(presence))}


def forget_presence(connection: Connection, host_id: str) -> None:
    connection.execute(delete(presence).where(presence.c.host_id == host_id))


def put_secret(connection: Connection, secret_id: str, sealed: bytes) -> None:
    """Keep sealed bytes under this id; the id is part of what was sealed, so rows cannot be swapped."""
    upsert(connection, secrets, [{"id": secret_id, "sealed": sealed}])


def get_secret(connection: Connection, secret_id: str) -> bytes | None:
    return connection.execute(select(secrets.c.sealed).where(secrets.c.id == secret_id)).scalar_one_or_none()


def list_secrets(connection: Connection) -> dict[str, bytes]:
    return {row.id: row.sealed for row in connection.execute(select(secrets))}


def delete_secret(connection: Connection, secret_id: str) -> bool:
    """Whether there was one."""
    return connection.execute(delete(secrets).where(secrets.c.id == secret_id)).rowcount > 0
