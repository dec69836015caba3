"""API tokens: made, rotated and revoked, and recognised in memory without asking the database.

Comes in: what people decide about tokens, and the texts that callers present. Goes out: texts, once each, and who
presented one. The one rule: what is revoked is out of memory before the answer that says so, whatever the database
does; every comparison takes the same way and time for a text that is known and for one that is not.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from lastgood.auth.gate import METRICS_READ, TokenView
from lastgood.auth.roles import SCRAPER
from lastgood.auth.tokens import digest_of, lookup_of, mint, same_digest
from lastgood.clock import Clock
from lastgood.errors import AccessError, StoreError
from lastgood.ids import ulid
from lastgood.secret import Secret
from lastgood.service.roles import Roles
from lastgood.store import tokens as rows
from lastgood.store.database import Database
from lastgood.store.tokens import ApiToken, Use

PURPOSE = "api tokens"
"""Of the subkey with which digests are made."""

MOST_TOKENS = 1000
MOST_HOSTS = 100
LONGEST_NAME = 100
LONGEST_LIFE = timedelta(days=3660)
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=30)
REVOKED_FOR = timedelta(days=90)
"""How long a revoked token is still shown."""

NOTE_SECONDS = 60.0
"""Uses are written at most this often, whatever comes."""

_log = structlog.get_logger("lastgood.tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A token and its text, which exists here only."""

    token: ApiToken
    text: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose text was presented. ``expired`` means that it was right and is too old."""

    token: ApiToken
    permissions: frozenset[str]
    expired: bool


class Tokens:
    """``key`` is the subkey for digests."""

    def __init__(self, database: Database, roles: Roles, key: bytes, clock: Clock) -> None:
        self._database = database
        self._roles = roles
        self._key = key
        self._clock = clock
        self._nobody = os.urandom(32).hex()
        self._tokens: dict[str, ApiToken] = {}
        self._by_lookup: dict[str, str] = {}
        """Lookup part -> id; of tokens that are not revoked, a text that rotation left behind included."""
        self._changing = asyncio.Lock()
        self._uses: dict[str, Use] = {}
        """Token id -> its latest use, while that is not written yet."""

    async def load(self) -> None:
        self._tokens.clear()
        self._by_lookup.clear()
        for token in await self._database.read(rows.list_tokens):
            self._keep(token)

    async def run(self) -> None:
        """Write uses now and then, until cancelled."""
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            try:
                await self.note()
            except StoreError as error:
                _log.error("last uses of tokens put off", error=str(error))

    async def note(self) -> None:
        """Write the uses since the last time, and forget what was revoked long ago."""
        uses, before = dict(self._uses), self._clock() - REVOKED_FOR
        if uses:
            await self._database.write(partial(rows.note_uses, uses=uses))
            for token_id, use in uses.items():
                if self._uses.get(token_id) == use:
                    del self._uses[token_id]
        old = [held.id for held in self._tokens.values() if held.revoked_at is not None and held.revoked_at < before]
        if old:
            await self._database.write(partial(rows.trim_tokens, revoked_before=before))
            for token_id in old:
                del self._tokens[token_id]

    # --- who presents one -------------------------------------------------------------------------------------

    def find(self, text: str) -> Holder | None:
        """Whose token this is; None for no token of ours, one that was revoked, or replaced for too long."""
        lookup = lookup_of(text)
        if lookup is None:
            return None
        now, presented = self._clock(), digest_of(self._key, text)
        token = self._tokens.get(self._by_lookup.get(lookup, ""))
        kept = self._nobody if token is None else _digest_behind(token, lookup, now) or self._nobody
        if not same_digest(kept, presented) or token is None:
            return None
        return Holder(token=token, permissions=self._roles.permissions(token.role), expired=token.is_expired(now))

    def used(self, token_id: str, address: str) -> None:
        """Note a use; written later, with others."""
        token = self._tokens.get(token_id)
        if token is not None:
            now = self._clock()
            self._uses[token_id] = now, address
            self._tokens[token_id] = replace(token, used_at=now, used_from=address)

    def scrapers_exist(self) -> bool:
        """Whether somebody made a token to scrape with; expired ones count, revoked ones do not."""
        return any(
            token.role == SCRAPER
            or (self._roles.is_custom(token.role) and METRICS_READ in self._roles.permissions(token.role))
            for token in map(self._tokens.__getitem__, self._by_lookup.values())
            if token.hosts is None
        )

    def view(self, text: str) -> TokenView | None:
        """As ``find``, for the gate before the metrics."""
        found = self.find(text)
        if found is None:
            return None
        return TokenView(
            id=found.token.id,
            live=not found.expired,
            permissions=found.permissions,
            of_hosts=found.token.hosts is not None,
        )

    # --- what people decide -----------------------------------------------------------------------------------

    def every(self) -> list[ApiToken]:
        """All tokens, oldest first; those revoked lately as well."""
        return sorted(self._tokens.values(), key=lambda token: token.id)

    def get(self, token_id: str) -> ApiToken:
        """A token that is in use. Raises AccessError."""
        token = self._tokens.get(token_id)
        if token is None or token.revoked_at is not None:
            raise AccessError("No API token in use has this id; it may have been revoked.", status=404)
        return token

    async def create(
        self,
        name: str,
        role: str,
        by: str,
        giver: frozenset[str],
        *,
        hosts: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> Made:
        """A new token; ``giver`` is what its maker may do. Raises AccessError."""
        now, text = self._clock(), mint()
        self._roles.check_gives(role, giver)
        if hosts is not None:
            _check_hosts(hosts, self._roles.permissions(role))
        check_expiry(expires_at, now)
        if len(set(self._by_lookup.values())) >= MOST_TOKENS:
            raise AccessError(f"There are {MOST_TOKENS} API tokens; revoke one first.", status=409)
        token = ApiToken(
            id=ulid(now),
            name=checked_name(name),
            role=role,
            lookup=lookup_of(text.reveal()) or "",
            digest=digest_of(self._key, text.reveal()),
            created_at=now,
            created_by=by,
            hosts=None if hosts is None else tuple(dict.fromkeys(hosts)),
            expires_at=expires_at,
        )
        if not await self._database.write(partial(rows.add_token, token=token)):
            raise AccessError(f"There is an API token called {token.name} already; choose another name.", status=409)
        self._keep(token)
        _log.info("API token made", token=token.id, name=token.name, role=role, by=by)
        return Made(token=token, text=text)

    async def rotate(
        self,
        token_id: str,
        by: str,
        giver: frozenset[str],
        *,
        overlap: timedelta,
        expires: tuple[datetime | None] | None,
    ) -> Made:
        """Another text for a token; the one it had is taken for ``overlap`` more. ``expires`` moves its end."""
        now, text, before = self._clock(), mint(), self.get(token_id)
        self._roles.check_gives(before.role, giver)
        if not timedelta() <= overlap <= LONGEST_OVERLAP:
            raise AccessError(f"The old text can live for at most {LONGEST_OVERLAP.days} days.", status=422)
        if expires is not None:
            check_expiry(expires[0], now)
        if before.is_expired(now):
            overlap = timedelta()  # what was over does not come back
            if expires is None:
                raise AccessError("This API token has expired; say until when its new text is to last.", status=409)
        change = partial(
            rows.rotate_token,
            token_id=token_id,
            lookup=lookup_of(text.reveal()) or "",
            digest=digest_of(self._key, text.reveal()),
            now=now,
            previous_until=now + overlap,
            expires=expires,
        )
        async with self._changing:
            token = await self._database.write(change)
            if token is None:
                raise AccessError("This API token was revoked meanwhile.", status=409)
            self._drop(token_id)
            self._keep(replace(token, used_at=before.used_at, used_from=before.used_from))
        _log.info("API token rotated", token=token_id, name=token.name, by=by)
        return Made(token=token, text=text)

    async def revoke(self, token_id: str, by: str) -> ApiToken:
        """End a token for good, at once. Raises AccessError; and StoreError, when it is shut out until a restart."""
        token, now = self.get(token_id), self._clock()
        self._drop(token_id)
        async with self._changing:
            await self._database.write(partial(rows.revoke_token, token_id=token_id, by=by, now=now))
            self._drop(token_id)  # a rotation may have ended in between
            token = self._tokens[token_id] = replace(token, revoked_at=now, revoked_by=by)
        _log.info("API token revoked", token=token_id, name=token.name, by=by)
        return token

    def _keep(self, token: ApiToken) -> None:
        self._tokens[token.id] = token
        if token.revoked_at is None:
            self._by_lookup[token.lookup] = token.id
            if token.previous_lookup is not None:
                self._by_lookup[token.previous_lookup] = token.id

    def _drop(self, token_id: str) -> None:
        for lookup in [lookup for lookup, owner in self._by_lookup.items() if owner == token_id]:
            del self._by_lookup[lookup]


def _digest_behind(token: ApiToken, lookup: str, now: datetime) -> str | None:
    """The digest that belongs to this lookup part; None for a text that rotation replaced too long ago."""
    if lookup == token.lookup:
        return token.digest
    is_taken = token.previous_until is not None and now < token.previous_until
    return token.previous_digest if is_taken else None


def checked_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > LONGEST_NAME:
        raise AccessError(f"An API token needs a name of at most {LONGEST_NAME} characters.", status=422)
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in name):
        raise AccessError("The name holds characters that nobody can see; type it anew.", status=422)
    return name


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise AccessError(f"A token can expire from now on, within {LONGEST_LIFE.days} days.", status=422)


def _check_hosts(hosts: Sequence[str], permissions: frozenset[str]) -> None:
    if not 1 <= len(hosts) <= MOST_HOSTS:
        raise AccessError(f"A token can be for 1 to {MOST_HOSTS} hosts, or for the whole fleet.", status=422)
    if permissions == {METRICS_READ}:
        raise AccessError(
            "A scrape is of the whole fleet, so a token that can do nothing else takes no hosts; leave them out.",
            status=422,
        )
