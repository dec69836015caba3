"""API tokens and custom roles; every user there is was made the admin of a hub that knew no other role."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """As ``store/schema.py`` describes it."""
    op.execute("UPDATE users SET role = 'admin'")
    op.create_table(
        "roles",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("permissions", sa.Text, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("changed_by", sa.String, nullable=False),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("live_name", sa.String),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("hosts", sa.Text),
        sa.Column("lookup", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("previous_lookup", sa.String),
        sa.Column("previous_digest", sa.String),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("rotated_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("used_from", sa.String),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("revoked_by", sa.String),
        sa.UniqueConstraint("live_name"),
        sa.UniqueConstraint("lookup"),
    )
