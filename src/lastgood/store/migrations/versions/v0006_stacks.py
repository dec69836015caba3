"""Texts of stacks, and what was deployed of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """As ``store/schema.py`` describes it."""
    op.create_table(
        "stack_texts",
        sa.Column("host_id", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("host_id", "project", "number"),
    )
    op.create_table(
        "deploys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger),
        sa.Column("host_id", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("text_number", sa.BigInteger),
        sa.Column("by", sa.String),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("outcome", sa.String),
        sa.Column("body", sa.Text),
        sa.Column("log", sa.Text),
    )
    op.create_index("deploys_of_stack", "deploys", ["host_id", "project", "asked_at", "id"])
    op.create_index("deploys_by_age", "deploys", ["asked_at", "id"])
