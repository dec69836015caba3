"""API tokens as rows: the lookup part and keyed digest of each text, what it may do, and when it was used.

Nothing here lets anybody in: the key of the digests lies outside the database. The one rule: what may happen once
(taking a name, rotating, revoking) is one guarded statement; a revoked token never comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, select, update

from lastgood.store.schema import api_tokens, insert, storable

Use = tuple[datetime, str]
"""When a token was last used, and from which address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token, without its text. ``hosts`` None means the whole fleet; ``previous_*`` is the text before the last
    rotation, which is taken until ``previous_until``."""

    id: str
    name: str
    role: str
    lookup: str
    digest: str
    created_at: datetime
    created_by: str
    hosts: tuple[str, ...] | None = None
    previous_lookup: str | None = None
    previous_digest: str | None = None
    previous_until: datetime | None = None
    rotated_at: datetime | None = None
    expires_at: datetime | None = None
    used_at: datetime | None = None
    used_from: str | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def add_token(connection: Connection, token: ApiToken) -> bool:
    """Keep a new token; False if one in use has its name, in whatever case it is written."""
    values = {
        "id": token.id,
        "name": storable(token.name),
        "live_name": storable(token.name).casefold(),
        "role": token.role,
        "hosts": None if token.hosts is None else msgspec.json.encode(token.hosts).decode(),
        "lookup": token.lookup,
        "digest": token.digest,
        "created_at": token.created_at,
        "created_by": storable(token.created_by),
        "expires_at": token.expires_at,
    }
    return connection.execute(insert(connection, api_tokens).values(values).on_conflict_do_nothing()).rowcount > 0


def list_tokens(connection: Connection) -> list[ApiToken]:
    """Every token, revoked ones that are still remembered included, oldest first."""
    return [_token(row) for row in connection.execute(select(api_tokens).order_by(api_tokens.c.id))]


def rotate_token(
    connection: Connection,
    token_id: str,
    *,
    lookup: str,
    digest: str,
    now: datetime,
    previous_until: datetime,
    expires: tuple[datetime | None] | None = None,
) -> ApiToken | None:
    """Give a token another text; the one it had is taken until ``previous_until``. ``expires`` holds another end of
    its life. None if it is gone or revoked."""
    query = update(api_tokens).where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    if expires is not None:
        query = query.values(expires_at=expires[0])
    changed = connection.execute(
        query.values(
            previous_lookup=api_tokens.c.lookup,
            previous_digest=api_tokens.c.digest,
            previous_until=previous_until,
            lookup=lookup,
            digest=digest,
            rotated_at=now,
        )
    )
    return _get(connection, token_id) if changed.rowcount else None


def revoke_token(connection: Connection, token_id: str, *, by: str, now: datetime) -> bool:
    """End a token for good; its name is free again. False if it is gone or somebody was first."""
    query = update(api_tokens).where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    values = {"revoked_at": now, "revoked_by": storable(by), "live_name": None}
    return connection.execute(query.values(values)).rowcount > 0


def note_uses(connection: Connection, uses: Mapping[str, Use]) -> None:
    """Keep when tokens were last used; the caller coalesces, since only the latest use matters."""
    rows = [{"its_id": token_id, "its_at": at, "its_from": address} for token_id, (at, address) in uses.items()]
    if rows:
        query = update(api_tokens).where(api_tokens.c.id == bindparam("its_id"))
        connection.execute(query.values(used_at=bindparam("its_at"), used_from=bindparam("its_from")), rows)


def trim_tokens(connection: Connection, revoked_before: datetime) -> int:
    """Forget tokens that were revoked long ago; answers how many."""
    return connection.execute(delete(api_tokens).where(api_tokens.c.revoked_at < revoked_before)).rowcount


def _get(connection: Connection, token_id: str) -> ApiToken | None:
    row = connection.execute(select(api_tokens).where(api_tokens.c.id == token_id)).one_or_none()
    return None if row is None else _token(row)


def _token(row: Row[tuple[object, ...]]) -> ApiToken:
    values = dict(row._mapping)
    del values["live_name"]
    values["hosts"] = None if row.hosts is None else msgspec.json.decode(row.hosts, type=tuple[str, ...])
    return ApiToken(**values)
