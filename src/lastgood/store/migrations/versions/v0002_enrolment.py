"""Enrolment codes, and machines that announced themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables; as ``store/schema.py`` describes them."""
    op.create_table(
        "enrol_codes",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("name", sa.String),
        sa.Column("for_host", sa.String),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("key", sa.String),
        sa.Column("host_id", sa.String),
        sa.Column("host_name", sa.String),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "pending_hosts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("hostname", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("agent_version", sa.String, nullable=False),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("announced_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("host_id", sa.String),
        sa.Column("decided_by", sa.String),
        sa.UniqueConstraint("key"),
    )
