"""The tables of stacks: their texts by number, sealed, and what was deployed.

Part of ``schema.py``, which names them all; ``stacks.py`` reads and writes them. The one rule: as there, a column
changes only together with a new migration.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from lastgood.store.columns import Instant, metadata

stack_texts = Table(
    "stack_texts",
    metadata,
    Column("host_id", String, nullable=False),
    Column("project", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("host_id", "project", "number"),
)

deploys = Table(
    "deploys",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger),
    Column("host_id", String, nullable=False),
    Column("project", String, nullable=False),
    Column("action", String, nullable=False),
    Column("text_number", BigInteger),
    Column("by", String),
    Column("asked_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("outcome", String),
    Column("body", Text),
    Column("log", Text),
    Index("deploys_of_stack", "host_id", "project", "asked_at", "id"),
    Index("deploys_by_age", "asked_at", "id"),
)
"""``seq`` is the place in the log of what its agent told last, None while no agent has heard of it."""
