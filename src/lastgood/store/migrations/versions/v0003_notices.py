"""Channels, their outbox, and what people said of alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """As ``store/schema.py`` describes it."""
    op.add_column("alerts", sa.Column("acknowledged_at", sa.BigInteger))
    op.add_column("alerts", sa.Column("acknowledged_by", sa.String))
    op.add_column("alerts", sa.Column("snoozed_until", sa.BigInteger))
    op.add_column("alerts", sa.Column("snoozed_by", sa.String))
    op.add_column("alerts", sa.Column("silent", sa.Boolean))
    op.create_index("alerts_by_end", "alerts", ["resolved_at", "severity", "opened_at"])
    op.create_table(
        "channels",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("folded_name", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("paused_until", sa.BigInteger),
        sa.Column("shown", sa.String, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.UniqueConstraint("folded_name"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("channel_id", sa.String, sa.ForeignKey("channels.id", ondelete="CASCADE"), nullable=False),
        sa.Column("alert_id", sa.String),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("reason", sa.String),
        sa.Column("opened", sa.BigInteger, nullable=False),
        sa.Column("resolved", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("attempted_at", sa.BigInteger),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("given_up_at", sa.BigInteger),
        sa.Column("receipt", sa.String),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("number"),
    )
    op.create_index("notices_waiting", "notices", ["channel_id", "next_at", "number"])
    op.create_index("notices_of_channel", "notices", ["channel_id", "created_at", "number"])
    op.create_index("notices_of_alert", "notices", ["alert_id"])
    op.create_index("notices_by_age", "notices", ["created_at"])
