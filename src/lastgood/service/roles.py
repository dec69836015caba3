"""Who is allowed what, by role: the built-in roles, and the custom ones of the database, held in memory.

Comes in: names of roles. Goes out: permissions. The one rule: nobody gives what they do not have themselves, so that
the right to manage users is no way to every other right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from lastgood.auth.roles import BUILT_IN, checked_permissions, checked_role
from lastgood.clock import Clock
from lastgood.errors import AccessError
from lastgood.store import roles as rows
from lastgood.store.database import Database
from lastgood.store.roles import CustomRole

MOST_ROLES = 200
NOTHING: frozenset[str] = frozenset()

_log = structlog.get_logger("lastgood.roles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role as it is shown; a built-in one was never changed by anybody."""

    name: str
    permissions: frozenset[str]
    built_in: bool
    changed_at: datetime | None = None
    changed_by: str | None = None


class Roles:
    """All roles; a change holds for the next request."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._custom: dict[str, CustomRole] = {}

    async def load(self) -> None:
        self._custom = {role.name: role for role in await self._database.read(rows.list_roles)}

    def permissions(self, name: str) -> frozenset[str]:
        """What the holder of a role may do; nothing for a role that is not known."""
        custom = self._custom.get(name)
        return BUILT_IN.get(name, NOTHING) if custom is None else custom.permissions

    def is_custom(self, name: str) -> bool:
        return name in self._custom

    def every(self) -> list[Role]:
        """The built-in ones first, then the others by name."""
        ours = [Role(name=name, permissions=held, built_in=True) for name, held in BUILT_IN.items()]
        return ours + [_shown(self._custom[name]) for name in sorted(self._custom)]

    def check_gives(self, name: str, giver: frozenset[str]) -> None:
        """Raises AccessError if there is no such role, or its permissions go beyond those of the giver."""
        if name not in BUILT_IN and name not in self._custom:
            names = ", ".join((*BUILT_IN, *sorted(self._custom)))
            raise AccessError(f"There is no role {name[:60]!r}; the roles are {names}.", status=422)
        check_reach(f"The role {name}", self.permissions(name), giver)

    async def put(self, name: str, permissions: Iterable[str], by: str, giver: frozenset[str]) -> Role:
        """Make a custom role, or give it other permissions. Raises AccessError."""
        checked_role(name)
        wanted = checked_permissions(permissions)
        check_reach(f"The role {name}", wanted | self.permissions(name), giver)
        if name not in self._custom and len(self._custom) >= MOST_ROLES:
            raise AccessError(f"There are {MOST_ROLES} custom roles; remove one first.", status=409)
        role = CustomRole(name=name, permissions=wanted, changed_at=self._clock(), changed_by=by)
        await self._database.write(partial(rows.put_role, role=role))
        self._custom[name] = role
        _log.info("role set", role=name, permissions=sorted(wanted), by=by)
        return _shown(role)

    async def remove(self, name: str, by: str) -> None:
        """Remove a custom role that nobody has. Raises AccessError."""
        if name in BUILT_IN:
            checked_role(name)
        if name not in self._custom:
            raise AccessError("There is no such role; it may have been removed.", status=404)
        if not await self._database.write(partial(rows.remove_role, name=name)):
            raise AccessError(
                f"The role {name} is still given to a user or an API token; give them another one first.", status=409
            )
        self._custom.pop(name, None)
        _log.info("role removed", role=name, by=by)


def check_reach(what: str, wanted: frozenset[str], giver: frozenset[str]) -> None:
    beyond = sorted(wanted - giver)
    if beyond:
        raise AccessError(f"{what} goes beyond what you may do yourself ({', '.join(beyond)}); ask an admin.")


def _shown(role: CustomRole) -> Role:
    return Role(
        name=role.name,
        permissions=role.permissions,
        built_in=False,
        changed_at=role.changed_at,
        changed_by=role.changed_by,
    )
