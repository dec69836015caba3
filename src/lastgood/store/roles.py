"""Custom roles as rows: a name and its permissions.

The one rule: whether a role is still somebody's is asked in the statement that removes it, so that nobody is left
with a role that went away meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, exists, select

from lastgood.store.schema import api_tokens, roles, upsert, users


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole:
    """What somebody put together, and who did last."""

    name: str
    permissions: frozenset[str]
    changed_at: datetime
    changed_by: str


def list_roles(connection: Connection) -> list[CustomRole]:
    """All custom roles, by name."""
    return [
        CustomRole(
            name=row.name,
            permissions=frozenset(msgspec.json.decode(row.permissions, type=list[str])),
            changed_at=row.changed_at,
            changed_by=row.changed_by,
        )
        for row in connection.execute(select(roles).order_by(roles.c.name))
    ]


def put_role(connection: Connection, role: CustomRole) -> None:
    """Make a role, or give it other permissions."""
    row = {
        "name": role.name,
        "permissions": msgspec.json.encode(sorted(role.permissions)).decode(),
        "changed_at": role.changed_at,
        "changed_by": role.changed_by,
    }
    upsert(connection, roles, [row])


def remove_role(connection: Connection, name: str) -> bool:
    """Remove a role that nobody has; False if there is none, or a user or a token in use has it."""
    query = delete(roles).where(
        roles.c.name == name,
        ~exists().where(users.c.role == name),
        ~exists().where(api_tokens.c.role == name, api_tokens.c.revoked_at.is_(None)),
    )
    return connection.execute(query).rowcount > 0
