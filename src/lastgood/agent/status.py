"""What the agent on this machine knows without asking the hub: noted in a small file while it runs, read by commands.

A running agent holds its spool for itself, so it notes what is in there; of one that does not run the spool itself is
read. The one rule: looking changes nothing, and a note that cannot be written costs the agent nothing but the note.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from lastgood.agent.enrolment import AgentConfig, read_key
from lastgood.agent.files import load_assignment
from lastgood.auth.identity import fingerprint
from lastgood.errors import ConfigError, StoreError
from lastgood.fleet.schedule import check, next_after
from lastgood.wire.enrolment import bytes_of
from lastgood.wire.frames import Order

log = structlog.get_logger(__name__)

NAME = "status.json"
EVERY_SECONDS = 2.0


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What a running agent says of itself. ``reports`` wait for the hub; ``away`` is why it is not there."""

    noted_at: datetime
    pid: int
    connected: bool
    connected_at: datetime | None
    away: str
    reports: int
    runs: tuple[str, ...]


class OrderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A standing order and when it is due next; None if it runs only when asked, or its schedule cannot be read."""

    name: str
    paths: tuple[str, ...]
    next_at: datetime | None
    paused_until: datetime | None


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as its own machine sees it. ``reports`` is None where the spool cannot be read."""

    host_id: str
    hub_url: str
    hub: str
    fingerprint: str | None
    running: bool
    connected: bool
    connected_at: datetime | None
    away: str
    reports: int | None
    runs: tuple[str, ...]
    orders_version: str
    orders: tuple[OrderStatus, ...]


async def keep_noted(path: Path, note: Callable[[], Awaitable[Noted]]) -> None:
    """Note, until cancelled, what changed since the last note."""
    kept: Noted | None = None
    complained = False
    while True:
        try:
            now = await note()
            if kept is None or msgspec.structs.replace(now, noted_at=kept.noted_at) != kept:
                await asyncio.to_thread(_write, path, now)
                kept = now
            complained = False
        except (OSError, StoreError) as error:
            if not complained:
                log.warning("status not noted", path=str(path), reason=str(error))
            complained = True
        await asyncio.sleep(EVERY_SECONDS)


def look(config: AgentConfig, now: datetime) -> AgentStatus:
    """The agent of this configuration as it stands, whether it runs or not."""
    folder = Path(config.data_dir)
    running, reports = _spooled(folder / "spool.db")
    noted = _noted(folder / NAME)
    assignment = load_assignment(folder / "assignment.json")
    return AgentStatus(
        host_id=config.host_id,
        hub_url=config.hub_url,
        hub=fingerprint(bytes_of(config.hub_key)),
        fingerprint=_own_fingerprint(Path(config.key_file)),
        running=running,
        connected=running and noted is not None and noted.connected,
        connected_at=None if noted is None else noted.connected_at,
        away="" if noted is None or not running else noted.away,
        reports=noted.reports if running and noted is not None else reports,
        runs=noted.runs if running and noted is not None else (),
        orders_version=assignment.version,
        orders=tuple(_order(order, now) for order in assignment.orders),
    )


def _order(order: Order, now: datetime) -> OrderStatus:
    next_at = None
    if order.schedule is not None:
        try:
            check(order.schedule)
            next_at = next_after(order.schedule, max(now, order.paused_until or now))
        except ConfigError:
            next_at = None
    return OrderStatus(name=order.name, paths=order.paths, next_at=next_at, paused_until=order.paused_until)


def _write(path: Path, noted: Noted) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.encode(noted))
    draft.replace(path)


def _noted(path: Path) -> Noted | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Noted)
    except (OSError, msgspec.DecodeError):
        return None


def _spooled(path: Path) -> tuple[bool, int | None]:
    """Whether an agent holds the spool, and how many reports wait in one that nobody holds."""
    if not path.exists():
        return False, None
    # Without a log beside it nobody holds the file; read so, SQLite makes no files of its own there.
    how = "mode=ro" if path.with_name(path.name + "-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=0)) as db:
            (reports,) = db.execute("SELECT count(*) FROM reports").fetchone()
            return False, int(reports)
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), None
    except sqlite3.DatabaseError:
        return False, None


def _own_fingerprint(key_file: Path) -> str | None:
    try:
        return read_key(key_file).fingerprint
    except ConfigError:
        return None
