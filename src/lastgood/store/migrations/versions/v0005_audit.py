"""The audit log and its totals."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """As ``store/schema.py`` describes it."""
    op.create_table(
        "audit_rows",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("begun", sa.BigInteger),
        sa.Column("actor_kind", sa.String, nullable=False),
        sa.Column("actor_id", sa.String, nullable=False),
        sa.Column("actor_name", sa.String, nullable=False),
        sa.Column("target_kind", sa.String, nullable=False),
        sa.Column("target_id", sa.String, nullable=False),
        sa.Column("target_name", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("prev_hash", sa.LargeBinary, nullable=False),
        sa.Column("row_hash", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_index("audit_by_moment", "audit_rows", ["at"])
    op.create_index("audit_endings", "audit_rows", ["begun"])
    op.create_index("audit_of_action", "audit_rows", ["action", "seq"])
    op.create_index("audit_of_actor", "audit_rows", ["actor_id", "seq"])
    op.create_index("audit_of_target", "audit_rows", ["target_id", "seq"])
    op.create_table(
        "audit_totals",
        sa.Column("action", sa.String, primary_key=True),
        sa.Column("entries", sa.BigInteger, nullable=False),
    )
