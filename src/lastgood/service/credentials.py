"""Repositories as people change them, and the credentials that the hub holds for them.

Comes in: changes of a repository, passwords and variables. Goes out: facts, sealed rows, and on the way to an agent
(``access``) the credentials themselves. The one rule: what was handed in leaves this file sealed for the database or
inside an assignment, and nowhere else; one change at a time, so that none undoes another's revision.

All that is held for one repository is one row, named after repository and revision, which are bound into the sealed
bytes: the fact that names a new revision switches over, whatever is interrupted before or after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import structlog
from sqlalchemy import Connection

from lastgood.alerts import lifecycle
from lastgood.auth.secrets import Sealer, subkey
from lastgood.errors import ConfigError, StoreError
from lastgood.fleet.fleet import Fleet
from lastgood.ids import ulid
from lastgood.model.fact import Fact, RepositoryConfigured, RepositoryRemoved
from lastgood.model.repository import Repository, Slot
from lastgood.store import records
from lastgood.store.database import Database
from lastgood.wire.frames import Held

_log = structlog.get_logger("lastgood.credentials")
_ROW = "repository"
PURPOSE = "repository credentials"

Take = Callable[[Sequence[Fact], str], Awaitable[None]]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One slot as it is sealed."""

    held: Held
    set_at: datetime
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSlot:
    """What may be told of a slot: who filled it when, and which variables it has."""

    slot: Slot
    variables: tuple[str, ...]
    set_at: datetime
    set_by: str


_Slots = dict[Slot, Kept]


class Credentials:
    """``take`` commits and learns facts under a request id. Loaded before anybody connects."""

    def __init__(self, database: Database, fleet: Fleet, secret_key: bytes, take: Take) -> None:
        self._database = database
        self._fleet = fleet
        self._sealer = Sealer(subkey(secret_key, PURPOSE))
        self._take = take
        self._rows: dict[str, dict[str, bytes]] = {}
        """Repository id -> revision -> sealed; two of them while a change is under way."""
        self._damaged: set[str] = set()
        self._turn = asyncio.Lock()

    async def load(self) -> None:
        """Read what is held; rows that no repository names, left by an interrupted change, are removed."""
        rows = await self._database.read(records.list_secrets)
        stale = []
        for row_id, sealed in rows.items():
            kind, _, rest = row_id.partition(":")
            repository_id, _, revision = rest.partition(":")
            if kind != _ROW:
                continue
            repository = self._fleet.repositories.get(repository_id)
            if repository is None or repository.held_revision != revision:
                stale.append(row_id)
            else:
                self._rows[repository_id] = {revision: sealed}
        if stale:
            await self._database.write(lambda connection: _delete(connection, stale))
        for repository in self._fleet.repositories.values():
            if repository.held and repository.id not in self._rows:
                _log.error("held credentials are missing; enter them again", repository=repository.name)

    # --- what is read -----------------------------------------------------------------------------------------

    def access(self, repository: Repository, slot: Slot) -> Held | None:
        """The credentials in clear, for an assignment or a run of our own; None if the slot is empty."""
        kept = self._slots(repository).get(slot)
        return None if kept is None else kept.held

    def told(self, repository: Repository) -> tuple[HeldSlot, ...]:
        """Which slots are filled, for people and programs."""
        return tuple(
            HeldSlot(
                slot=slot, variables=tuple(sorted(kept.held.environment)), set_at=kept.set_at, set_by=kept.set_by
            )
            for slot, kept in sorted(self._slots(repository).items())
        )

    def _slots(self, repository: Repository) -> _Slots:
        revision = repository.held_revision
        sealed = None if revision is None else self._rows.get(repository.id, {}).get(revision)
        if revision is None or sealed is None:
            return {}
        row_id = _row_id(repository.id, revision)
        try:
            return msgspec.json.decode(self._sealer.open(row_id, sealed), type=_Slots)
        except (ConfigError, msgspec.DecodeError) as error:
            # As good as none: one repository's damage must not keep a host's other orders from its agent.
            if row_id not in self._damaged:
                self._damaged.add(row_id)
                _log.error("held credentials do not open", repository=repository.name, reason=str(error))
            return {}

    # --- what is changed --------------------------------------------------------------------------------------

    async def add(self, repository: Repository, held: Held | None, *, by: str, origin: str, request_id: str) -> None:
        """Make a repository known, with everyday credentials if the hub holds them. Raises StoreError."""
        async with self._turn:
            at = repository.added_at
            if held is not None:
                slots = {Slot.EVERYDAY: Kept(held=held, set_at=at, set_by=by)}
                repository = await self._keep(repository, slots, at)
            await self._tell(
                repository.id, RepositoryConfigured(at=at, origin=origin, repository=repository), request_id
            )

    async def change(
        self,
        repository_id: str,
        change: Callable[[Repository], Repository],
        *,
        at: datetime,
        origin: str,
        request_id: str,
    ) -> None:
        """Make of the repository, as it is when its turn comes, what ``change`` makes; nothing if it is the same."""
        async with self._turn:
            before = self._known(repository_id)
            after = change(before)
            if after != before:
                after = replace(after, held=before.held, held_revision=before.held_revision)
                await self._take([RepositoryConfigured(at=at, origin=origin, repository=after)], request_id)

    async def hold(
        self,
        repository_id: str,
        slot: Slot,
        held: Held | None,
        *,
        by: str,
        at: datetime,
        origin: str,
        request_id: str,
        check: Callable[[Repository], object] = lambda before: None,
    ) -> None:
        """Hold these credentials in the slot from now on; None empties it. Agents are given them at once. ``check``
        may raise for the repository as it is when its turn comes."""
        async with self._turn:
            before = self._known(repository_id)
            check(before)
            slots = self._slots(before)
            if held is None:
                if slots.pop(slot, None) is None and slot not in before.held:
                    return
            else:
                slots[slot] = Kept(held=held, set_at=at, set_by=by)
            after = await self._keep(before, slots, at)
            await self._tell(after.id, RepositoryConfigured(at=at, origin=origin, repository=after), request_id)
            _log.info(
                "held credentials changed", repository=after.name, slot=slot.value, filled=held is not None, by=by
            )

    async def remove(self, repository_id: str, *, at: datetime, origin: str, request_id: str) -> None:
        """Forget a repository and all that is held for it; its backups stay where they are."""
        async with self._turn:
            self._known(repository_id)
            fact = RepositoryRemoved(at=at, origin=origin, repository_id=repository_id)
            await self._tell(repository_id, fact, request_id, before=self._over(repository_id, at))

    def _known(self, repository_id: str) -> Repository:
        repository = self._fleet.repositories.get(repository_id)
        if repository is None:
            raise ConfigError(f"There is no repository {repository_id}; it may have been removed just now.")
        return repository

    async def _keep(self, repository: Repository, slots: Mapping[Slot, Kept], at: datetime) -> Repository:
        """Seal the slots under a new revision; answers the repository that names it."""
        if not slots:
            return replace(repository, held=(), held_revision=None)
        revision = ulid(at)
        row_id = _row_id(repository.id, revision)
        sealed = self._sealer.seal(row_id, msgspec.json.encode(slots))
        await self._database.write(lambda rows: records.put_secret(rows, row_id, sealed))
        # Before the fact: agents are given their orders anew while it is learned.
        self._rows.setdefault(repository.id, {})[revision] = sealed
        return replace(repository, held=tuple(sorted(slots)), held_revision=revision)

    def _over(self, repository_id: str, at: datetime) -> list[Fact]:
        """What is open about the repository and its sources ends with it, for whoever was told of it."""
        fleet = self._fleet
        gone = [("source", source_id) for source_id in fleet.sources_of_repository.get(repository_id, ())]
        keys = [key for one in (*gone, ("repository", repository_id)) for key in fleet.alerts_of_entity.get(one, ())]
        return lifecycle.ended([fleet.alerts[key] for key in keys], at, "the repository was removed")

    async def _tell(self, repository_id: str, fact: Fact, request_id: str, before: Sequence[Fact] = ()) -> None:
        """Take the fact, then let go of what the repository does not name, as it is by then.

        Cut off in between, nothing is let go of: the fact may still be learned. The next start tidies up.
        """
        try:
            await self._take([*before, fact], request_id)
        except StoreError:
            await self._let_go(repository_id)
            raise
        await self._let_go(repository_id)

    async def _let_go(self, repository_id: str) -> None:
        repository = self._fleet.repositories.get(repository_id)
        named = None if repository is None else repository.held_revision
        rows = self._rows.get(repository_id, {})
        stale = [revision for revision in rows if revision != named]
        for revision in stale:
            del rows[revision]
        if not rows:
            self._rows.pop(repository_id, None)
        ids = [_row_id(repository_id, revision) for revision in stale]
        try:
            if ids:
                await self._database.write(lambda connection: _delete(connection, ids))
        except StoreError as error:
            _log.warning("old credentials are removed at the next start", error=str(error))


def _delete(connection: Connection, row_ids: Sequence[str]) -> None:
    for row_id in row_ids:
        records.delete_secret(connection, row_id)


def _row_id(repository_id: str, revision: str) -> str:
    return f"{_ROW}:{repository_id}:{revision}"
