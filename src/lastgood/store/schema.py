"""Every table, as the newest migration leaves it.

Functions of this package build their SQL from these tables; ``migrations/`` makes them step by step, and a test holds
both equal. The one rule: a column changes only together with a new migration and its line in ``REVISIONS``. Moments
are 64-bit integers: microseconds since 1970 in UTC; texts and integers mean the same to SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import sqlite

from lastgood.store.columns import Instant as Instant
from lastgood.store.columns import metadata as metadata
from lastgood.store.stack_tables import deploys as deploys
from lastgood.store.stack_tables import stack_texts as stack_texts

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision this program knows, oldest first; a database at any other one belongs to a newer program."""

fact_log = Table(
    "fact_log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("kind", String, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("origin", String, nullable=False),
    Column("body", Text, nullable=False),
)
"""What was learned since the last checkpoint, in order; ``seq`` is given out by ``store/log.py``, never twice."""

marks = Table(
    "marks",
    metadata,
    Column("stream", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("moved_at", Instant, nullable=False),
)

state_rows = Table(
    "state_rows",
    metadata,
    Column("kind", String, nullable=False),
    Column("id", String, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("kind", "id"),
    sqlite_with_rowid=False,
)

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, unique=True),
    Column("at", Instant, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Facts that could not be taken. ``seq`` is the fact's place in the log, None if it never came so far."""

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("source_id", String),
    Column("host_id", String, nullable=False),
    Column("repository_id", String),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("outcome", String),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("body", Text, nullable=False),
    Index("runs_of_source", "source_id", "ended_at", "id"),
    Index("runs_of_host", "host_id", "ended_at", "id"),
    Index("runs_by_end", "ended_at", "id"),
)

run_logs = Table(
    "run_logs",
    metadata,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("log", Text, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("source_id", String, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("deadline_at", Instant, nullable=False),
    Column("result", String, nullable=False),
    PrimaryKeyConstraint("source_id", "due_at"),
    Index("ledger_by_moment", "due_at"),
    sqlite_with_rowid=False,
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("rule", String, nullable=False),
    Column("entity_kind", String, nullable=False),
    Column("entity_id", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("host_id", String),
    Column("opened_at", Instant, nullable=False),
    Column("resolved_at", Instant),
    Column("reason", Text),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", String),
    Column("snoozed_until", Instant),
    Column("snoozed_by", String),
    Column("silent", Boolean),
    Index("alerts_by_opening", "opened_at", "id"),
    Index("alerts_of_host", "host_id", "opened_at", "id"),
    Index("alerts_by_end", "resolved_at", "severity", "opened_at"),
)
"""``silent`` is true while no channel was told that the alert is open, since it opened on a snoozed host."""

users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("folded_name", String, nullable=False),
    Column("password_hash", Text),
    Column("role", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("disabled", Boolean, nullable=False),
    UniqueConstraint("folded_name"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("address", String, nullable=False),
    Column("agent", String, nullable=False),
    Index("sessions_of_user", "user_id"),
    Index("sessions_by_expiry", "expires_at"),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("digest", String, primary_key=True),
    Column("purpose", String, nullable=False),
    Column("user_name", String),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
)

roles = Table(
    "roles",
    metadata,
    Column("name", String, primary_key=True),
    Column("permissions", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("changed_by", String, nullable=False),
)
"""Custom roles; ``permissions`` is a JSON list. The built-in ones stand in ``auth/roles.py``."""

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("live_name", String),
    Column("role", String, nullable=False),
    Column("hosts", Text),
    Column("lookup", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("previous_lookup", String),
    Column("previous_digest", String),
    Column("previous_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("rotated_at", Instant),
    Column("expires_at", Instant),
    Column("used_at", Instant),
    Column("used_from", String),
    Column("revoked_at", Instant),
    Column("revoked_by", String),
    UniqueConstraint("live_name"),
    UniqueConstraint("lookup"),
)
"""``live_name`` is the folded name until the token is revoked, so that no two in use are called the same; ``hosts``
is a JSON list of ids, NULL for the whole fleet."""

presence = Table(
    "presence",
    metadata,
    Column("host_id", String, primary_key=True),
    Column("seen_at", Instant),
    Column("observed_at", Instant),
)

secrets = Table(
    "secrets",
    metadata,
    Column("id", String, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

enrol_codes = Table(
    "enrol_codes",
    metadata,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("name", String),
    Column("for_host", String),
    Column("created_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("key", String),
    Column("host_id", String),
    Column("host_name", String),
    UniqueConstraint("digest"),
)

pending_hosts = Table(
    "pending_hosts",
    metadata,
    Column("id", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("name", String, nullable=False),
    Column("hostname", String, nullable=False),
    Column("address", String, nullable=False),
    Column("agent_version", String, nullable=False),
    Column("system", String, nullable=False),
    Column("announced_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("state", String, nullable=False),
    Column("host_id", String),
    Column("decided_by", String),
    UniqueConstraint("key"),
)

channels = Table(
    "channels",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("folded_name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("paused_until", Instant),
    Column("shown", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    UniqueConstraint("folded_name"),
)
"""Where notices go. ``shown`` is the address without its secrets, ``sealed`` all of it."""

notices = Table(
    "notices",
    metadata,
    Column("id", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("channel_id", String, ForeignKey("channels.id", ondelete="CASCADE"), nullable=False),
    Column("alert_id", String),
    Column("event", String, nullable=False),
    Column("body", Text),
    Column("reason", String),
    Column("opened", BigInteger, nullable=False),
    Column("resolved", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant),
    Column("attempts", BigInteger, nullable=False),
    Column("attempted_at", Instant),
    Column("delivered_at", Instant),
    Column("given_up_at", Instant),
    Column("receipt", String),
    Column("error", Text),
    UniqueConstraint("number"),
    Index("notices_waiting", "channel_id", "next_at", "number"),
    Index("notices_of_channel", "channel_id", "created_at", "number"),
    Index("notices_of_alert", "alert_id"),
    Index("notices_by_age", "created_at"),
)
"""The outbox: one row a notice and channel. ``next_at`` is set while it waits and unset once it is delivered or given
up. ``body`` is unset while a digest still gathers: ``opened`` and ``resolved`` count what it has gathered."""


audit_rows = Table(
    "audit_rows",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("action", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("begun", BigInteger),
    Column("actor_kind", String, nullable=False),
    Column("actor_id", String, nullable=False),
    Column("actor_name", String, nullable=False),
    Column("target_kind", String, nullable=False),
    Column("target_id", String, nullable=False),
    Column("target_name", String, nullable=False),
    Column("address", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("details", Text, nullable=False),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
    Column("seal", LargeBinary, nullable=False),
    Index("audit_by_moment", "at"),
    Index("audit_endings", "begun"),
    Index("audit_of_action", "action", "seq"),
    Index("audit_of_actor", "actor_id", "seq"),
    Index("audit_of_target", "target_id", "seq"),
)
"""The audit log, columns as ``auth/chain.py`` hashes them. ``begun`` is the row that this one ends."""

audit_totals = Table(
    "audit_totals",
    metadata,
    Column("action", String, primary_key=True),
    Column("entries", BigInteger, nullable=False),
)
"""How often each action was written since the log began; removing old rows changes none of it."""


def storable(text: str) -> str:
    """Text as a column can hold it: lone surrogates become question marks. Bodies keep every letter."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def in_some(values: Sequence[str], most: int = 500) -> Iterator[Sequence[str]]:
    """The values in parts, none longer than a statement should have parameters."""
    return (values[start : start + most] for start in range(0, len(values), most))


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert with ``on_conflict_do_*`` in the words of the connected database."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # a start over SQLite does not pay for it

        return postgresql.insert(table)
    return sqlite.insert(table)


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert each row or, where its primary key is there, replace all its other columns."""
    if not rows:
        return
    statement = insert(connection, table)
    key = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)
