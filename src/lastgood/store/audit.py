"""The audit log: rows that each carry the hash of the one before, what was counted, and how old rows go.

``service/audit.py`` and commands beside the hub write here; pages, API and ``lastgood audit verify`` read. The one
rule: a row is only ever appended, by ``append``; nothing changes one, and rows go only behind a checkpoint that is
itself a row. Hashes and seals are those of ``auth/chain.py``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, or_, select
from sqlalchemy.sql.expression import ColumnElement

from lastgood.auth.chain import COLUMNS, ChainKeys, Checkpoint, row_hash, seal
from lastgood.errors import ConfigError
from lastgood.model.audit import ACTIONS, THE_HUB, TRIM, ActorKind, Ending, Entry, Target, Who
from lastgood.store.schema import Instant, audit_rows, audit_totals, insert, storable

PAGE = 100
MOST_REMOVED = 5_000
"""Rows that go behind one checkpoint."""
LONGEST_DETAILS = 4_000
LONGEST_TEXT = 300

_INSTANT = Instant()


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The newest row."""

    seq: int
    hash: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An action as people read it: how it began and, where that was written apart, how it ended.

    ``outcome`` is still ``begun`` if no end was written.
    """

    seq: int
    at: datetime
    action: str
    outcome: Ending
    ended_at: datetime | None
    who: Who
    target: Target
    address: str
    request_id: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which actions; what is None does not matter. ``actor`` and ``target`` are ids or names."""

    action: str | None = None
    actor: str | None = None
    target: str | None = None
    outcome: Ending | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = Wanted()


def append(connection: Connection, entry: Entry, at: datetime, keys: ChainKeys) -> Last:
    """Chain one more row to the log; its number, hash and moment."""
    if entry.action not in ACTIONS:
        raise ValueError(f"{entry.action} is no action of model/audit.py")
    before = last(connection)
    seq = 1 if before is None else before.seq + 1
    values = (
        seq,
        _INSTANT.process_bind_param(at, connection.dialect),
        entry.action,
        str(entry.outcome),
        entry.begun,
        str(entry.who.kind),
        _short(entry.who.id),
        _short(entry.who.name),
        _short(entry.target.kind),
        _short(entry.target.id),
        _short(entry.target.name),
        _short(entry.address),
        _short(entry.request_id),
        _told(entry.details),
        keys.genesis if before is None else before.hash,
    )
    hash_ = row_hash(values)
    row = dict(zip(COLUMNS, (*values, hash_, seal(keys.seal, hash_)), strict=True))
    connection.execute(audit_rows.insert(), {**row, "at": at})
    if entry.begun is None:  # an action counts once, when it begins
        count(connection, entry.action)
    return Last(seq=seq, hash=hash_, at=at)


def count(connection: Connection, action: str) -> None:
    statement = insert(connection, audit_totals).values(action=action, entries=1)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["action"], set_={"entries": audit_totals.c.entries + statement.excluded.entries}
        )
    )


def totals(connection: Connection) -> dict[str, int]:
    """Action -> how often it was written since the log began, whatever was removed since."""
    return {row.action: row.entries for row in connection.execute(select(audit_totals))}


def last(connection: Connection) -> Last | None:
    """The newest row, None before the first."""
    columns = (audit_rows.c.seq, audit_rows.c.row_hash, audit_rows.c.at)
    row = connection.execute(select(*columns).order_by(audit_rows.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else Last(seq=row.seq, hash=row.row_hash, at=row.at)


def hash_of(connection: Connection, seq: int) -> bytes | None:
    return connection.execute(select(audit_rows.c.row_hash).where(audit_rows.c.seq == seq)).scalar_one_or_none()


def trim(
    connection: Connection,
    before: datetime,
    at: datetime,
    keys: ChainKeys,
    sign: Callable[[int, bytes, int], Checkpoint],
) -> int:
    """Remove the oldest rows, up to the first that is not older than ``before``; how many went."""
    kept = select(func.min(audit_rows.c.seq)).where(audit_rows.c.at >= before)
    newest, oldest = last(connection), connection.execute(select(func.min(audit_rows.c.seq))).scalar_one()
    if newest is None:
        return 0
    first_kept = connection.execute(kept).scalar_one()
    upto = min(newest.seq if first_kept is None else first_kept - 1, oldest + MOST_REMOVED - 1)
    hash_ = None if upto < oldest else hash_of(connection, upto)
    if hash_ is None:
        return 0
    removed = upto - oldest + 1
    details = msgspec.to_builtins(sign(upto, hash_, removed))
    append(connection, Entry(action=TRIM, who=THE_HUB, details=details), at, keys)
    return connection.execute(delete(audit_rows).where(audit_rows.c.seq <= upto)).rowcount


# --- reading ------------------------------------------------------------------------------------------------------


def recorded(
    connection: Connection, wanted: Wanted = ALL, *, before: int | None = None, limit: int = PAGE
) -> tuple[list[Recorded], int | None]:
    """Actions, newest first, each once, and the number from which the next page goes on."""
    ending = audit_rows.alias("ending")
    outcome = func.coalesce(ending.c.outcome, audit_rows.c.outcome)
    query: Select[Any] = (
        select(
            audit_rows,
            outcome.label("ended"),
            ending.c.at.label("ended_at"),
            ending.c.details.label("more"),
            ending.c.target_kind.label("end_kind"),
            ending.c.target_id.label("end_id"),
            ending.c.target_name.label("end_name"),
        )
        .select_from(audit_rows.outerjoin(ending, ending.c.begun == audit_rows.c.seq))
        .where(audit_rows.c.begun.is_(None), *_fitting(wanted, outcome, ending))
        .order_by(audit_rows.c.seq.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(audit_rows.c.seq < before)
    rows = connection.execute(query).all()
    found = [_recorded(row) for row in rows[:limit]]
    return found, found[-1].seq if len(rows) > limit else None


def raw_rows(
    connection: Connection, wanted: Wanted = ALL, *, after: int = 0, limit: int = PAGE
) -> list[dict[str, Any]]:
    """Rows as they are chained, oldest first, from behind the number ``after``; hashes in hexadecimal."""
    query = select(audit_rows).where(audit_rows.c.seq > after, *_fitting(wanted, audit_rows.c.outcome))
    rows = connection.execute(query.order_by(audit_rows.c.seq).limit(limit)).mappings()
    return [{name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()} for row in rows]


def stored_rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """Every row of a database file as it lies there, in order; what cannot be read as text comes as bytes.

    Works beside a running hub and writes nothing. Raises ConfigError.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            held = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_rows'").fetchone()
            if held is None:
                raise ConfigError(f"The database {path} has no audit log; it is of an older lastgood, or of none.")
            names = ", ".join(COLUMNS)
            connection.execute("BEGIN")
            try:
                yield from connection.execute(f"SELECT {names} FROM audit_rows ORDER BY seq")  # noqa: S608 - our names
            except sqlite3.OperationalError as error:
                if "decode" not in str(error).lower():
                    raise
                raise NotText from error
    except sqlite3.Error as error:
        raise ConfigError(f"The database {path} cannot be read ({error}); name a file that lastgood made.") from error


class NotText(ConfigError):
    """A text of the log is none any more; ``read_damaged`` reads past it."""

    def __init__(self) -> None:
        super().__init__("A row of the audit log holds text that is none; it was changed.")


def damaged_rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """As ``stored_rows``, slower: text that is none comes as bytes, so that its row does not fit its hash."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            connection.text_factory = _text_or_bytes
            names = ", ".join(COLUMNS)
            yield from connection.execute(f"SELECT {names} FROM audit_rows ORDER BY seq")  # noqa: S608 - our names
    except sqlite3.Error as error:
        raise ConfigError(f"The database {path} cannot be read ({error}); name a file that lastgood made.") from error


# --- inside -------------------------------------------------------------------------------------------------------


def _fitting(wanted: Wanted, outcome: Any, ending: Any = None) -> list[ColumnElement[bool]]:
    """With ``ending``, the rows by which others ended, what was made is found by the id and name that it got."""
    rows = audit_rows.c
    fitting: list[ColumnElement[bool]] = []
    if wanted.action is not None:
        # "source" finds source.write and source.archive; "source.write" that alone.
        of_kind = rows.action.between(f"{wanted.action}.", f"{wanted.action}/")
        fitting.append(rows.action == wanted.action if "." in wanted.action else of_kind)
    if wanted.actor is not None:
        fitting.append((rows.actor_id == wanted.actor) | (rows.actor_name == wanted.actor))
    if wanted.target is not None:
        places = [rows] if ending is None else [rows, ending.c]
        fitting.append(or_(*(one == wanted.target for at in places for one in (at.target_id, at.target_name))))
    if wanted.outcome is not None:
        fitting.append(outcome == str(wanted.outcome))
    if wanted.since is not None:
        fitting.append(rows.at >= wanted.since)
    if wanted.until is not None:
        fitting.append(rows.at < wanted.until)
    return fitting


def _recorded(row: Any) -> Recorded:
    details = _details(row.details) | ({} if row.more is None else _details(row.more))
    target = Target(kind=row.target_kind, id=row.target_id, name=row.target_name)
    if row.end_id and not (target.id and target.name):  # what was made has its id only at the end, others a name
        target = Target(kind=row.end_kind, id=row.end_id, name=row.end_name)
    return Recorded(
        seq=row.seq,
        at=row.at,
        action=row.action,
        outcome=Ending(row.ended),
        ended_at=row.ended_at,
        who=Who(kind=ActorKind(row.actor_kind), id=row.actor_id, name=row.actor_name),
        target=target,
        address=row.address,
        request_id=row.request_id,
        details=details,
    )


def _details(text: str) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):  # somebody changed the row; verify says so, and the list goes on
        return {}
    return said if isinstance(said, dict) else {}


def _told(details: Any) -> str:
    """As much of each detail as there is room for: one that is long pushes no other out."""
    if not details:
        return "{}"
    for longest, most in ((LONGEST_DETAILS, LONGEST_DETAILS), (100, 10), (40, 3), (20, 1)):
        text = storable(msgspec.json.encode(_cut(details, longest, most)).decode())
        if len(text) <= LONGEST_DETAILS:
            return text
    return msgspec.json.encode({"left_out": "more than the log keeps"}).decode()


def _cut(value: Any, longest: int, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else value[:longest] + "…"
    if isinstance(value, Mapping):
        return {key: _cut(member, longest, most) for key, member in value.items()}
    if isinstance(value, list | tuple):
        more = ["…"] if len(value) > most else []
        return [_cut(member, longest, most) for member in value[:most]] + more
    return value


def _short(text: str) -> str:
    return storable(text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…")


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
