"""Users as admins manage them: made, given roles, removed.

Comes in: what somebody decides about somebody. Goes out: rows. The one rule: one admin who can sign in always stays,
and nobody changes a person who may do more than they may themselves.
"""

from __future__ import annotations

import unicodedata
from functools import partial

import structlog

from lastgood.clock import Clock
from lastgood.errors import AccessError
from lastgood.ids import ulid
from lastgood.service.roles import Roles, check_reach
from lastgood.store import accounts
from lastgood.store.accounts import User
from lastgood.store.database import Database

LONGEST_USER_NAME = 64
MOST_USERS = 10_000
LAST_ADMIN = "This is the last admin who can sign in; make somebody else an admin first."

_log = structlog.get_logger("lastgood.people")


class People:
    """``giver`` is always what the one who decides may do."""

    def __init__(self, database: Database, roles: Roles, clock: Clock) -> None:
        self._database = database
        self._roles = roles
        self._clock = clock

    async def every(self) -> list[User]:
        """Everybody, by name."""
        return await self._database.read(accounts.list_users)

    async def get(self, user_id: str) -> User:
        """Raises AccessError if there is none."""
        user = await self._database.read(partial(accounts.get_user, user_id=user_id))
        if user is None:
            raise AccessError("No user has this id; they may have been removed.", status=404)
        return user

    async def create(self, name: str, role: str, by: str, giver: frozenset[str]) -> User:
        """Somebody without a password, who signs in by a link at first. Raises AccessError."""
        name = name.strip()
        if fault := name_fault(name):
            raise AccessError(fault, status=422)
        self._roles.check_gives(role, giver)
        if await self._database.read(accounts.count_users) >= MOST_USERS:
            raise AccessError(f"There are {MOST_USERS} users; remove one first.", status=409)
        now = self._clock()
        user = User(id=ulid(now), name=name, role=role, created_at=now)
        if not await self._database.write(partial(accounts.add_user, user=user)):
            raise AccessError(f"There is a user called {name} already; choose another name.", status=409)
        _log.info("user made", user=user.id, name=name, role=role, by=by)
        return user

    async def set_role(self, user_id: str, role: str, by: str, giver: frozenset[str]) -> User:
        """Raises AccessError; for the last admin as well."""
        user = await self.changeable(user_id, giver)
        self._roles.check_gives(role, giver)
        if not await self._database.write(partial(accounts.set_role, user_id=user_id, role=role)):
            raise AccessError(LAST_ADMIN, status=409)
        _log.info("user given a role", user=user_id, name=user.name, role=role, by=by)
        return await self.get(user_id)

    async def remove(self, user_id: str, by: str, giver: frozenset[str]) -> None:
        """Raises AccessError; for the last admin as well."""
        user = await self.changeable(user_id, giver)
        if not await self._database.write(partial(accounts.remove_user, user_id=user_id)):
            raise AccessError(LAST_ADMIN, status=409)
        _log.info("user removed", user=user_id, name=user.name, by=by)

    async def changeable(self, user_id: str, giver: frozenset[str]) -> User:
        """A user who may do no more than the giver. Raises AccessError."""
        user = await self.get(user_id)
        check_reach(f"The role of {user.name}", self._roles.permissions(user.role), giver)
        return user


def name_fault(name: str) -> str | None:
    """What is wrong with a name to sign in with."""
    if not name:
        return "Choose a name to sign in with."
    if len(name) > LONGEST_USER_NAME:
        return f"The name is too long; {LONGEST_USER_NAME} characters are enough."
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in name):
        return "The name holds characters that nobody can see; type it anew."
    return None
