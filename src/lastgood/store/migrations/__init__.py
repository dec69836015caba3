"""Alembic's scripts: how every older database becomes today's."""
