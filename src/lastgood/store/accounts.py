"""People: users, their sessions, and the links that sign somebody in once.

Passwords come as hashes, sessions and links as digests of their tokens, so nothing here lets anybody in. The one
rule: what may happen once (using a link, taking a name) is decided by one guarded statement, never by reading first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, Select, delete, exists, func, or_, select, true, update
from sqlalchemy.sql.expression import ColumnElement

from lastgood.auth.roles import ADMIN
from lastgood.store.schema import insert, sessions, sign_in_links, users


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may sign in; without ``password_hash`` only by a link."""

    id: str
    name: str
    role: str
    created_at: datetime
    password_hash: str | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that signed in. ``agent`` is how it called itself."""

    digest: str
    user_id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLink:
    """A link that works once. ``user_name`` None means that its user chooses one: the first of a fresh hub."""

    digest: str
    purpose: str
    user_name: str | None
    expires_at: datetime


def add_user(connection: Connection, user: User) -> bool:
    """Add a user; False if the name is taken, in whatever case it is written."""
    values = {
        "id": user.id,
        "name": user.name,
        "folded_name": user.name.casefold(),
        "password_hash": user.password_hash,
        "role": user.role,
        "created_at": user.created_at,
        "disabled": user.disabled,
    }
    return connection.execute(insert(connection, users).values(values).on_conflict_do_nothing()).rowcount > 0


def find_user(connection: Connection, name: str) -> User | None:
    """The user of this name, in whatever case it is written."""
    row = connection.execute(_users().where(users.c.folded_name == name.casefold())).one_or_none()
    return None if row is None else _user(row)


def get_user(connection: Connection, user_id: str) -> User | None:
    row = connection.execute(_users().where(users.c.id == user_id)).one_or_none()
    return None if row is None else _user(row)


def list_users(connection: Connection) -> list[User]:
    """Everybody, by name."""
    return [_user(row) for row in connection.execute(_users().order_by(users.c.folded_name))]


def count_users(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def set_password(connection: Connection, user_id: str, password_hash: str | None) -> bool:
    """Set or take away the password, and end all sessions and links of the user; False if there is no such user."""
    end_sessions(connection, user_id)
    _drop_links(connection, user_id)
    query = update(users).where(users.c.id == user_id).values(password_hash=password_hash)
    return connection.execute(query).rowcount > 0


def set_disabled(connection: Connection, user_id: str, disabled: bool) -> bool:
    """Shut a user out, sessions included, or let them in again; False if there is no such user."""
    if disabled:
        end_sessions(connection, user_id)
    query = update(users).where(users.c.id == user_id).values(disabled=disabled)
    return connection.execute(query).rowcount > 0


def set_role(connection: Connection, user_id: str, role: str) -> bool:
    """Give a user another role; False if there is no such user, or they are the last admin who can sign in.

    Links end with the old role: whoever made one need not be somebody who may let others in with the new role.
    """
    query = update(users).where(users.c.id == user_id, _is_not_last_admin() if role != ADMIN else true())
    given = connection.execute(query.values(role=role)).rowcount > 0
    if given:
        _drop_links(connection, user_id)
    return given


def remove_user(connection: Connection, user_id: str) -> bool:
    """Remove a user, sessions and links included; False if there is no such user, or they are the last admin."""
    user = get_user(connection, user_id)
    gone = connection.execute(delete(users).where(users.c.id == user_id, _is_not_last_admin())).rowcount
    if user is None or gone == 0:
        return False
    end_sessions(connection, user_id)
    connection.execute(delete(sign_in_links).where(sign_in_links.c.user_name == user.name))
    return True


def _is_not_last_admin() -> ColumnElement[bool]:
    """Of the row at hand: it is no admin's, or another admin may sign in."""
    other = users.alias("other")
    able = (other.c.role == ADMIN, other.c.disabled.is_(False), other.c.password_hash.is_not(None))
    return or_(users.c.role != ADMIN, exists().where(other.c.id != users.c.id, *able))


def add_session(connection: Connection, session: Session) -> None:
    connection.execute(
        sessions.insert(),
        {
            "digest": session.digest,
            "user_id": session.user_id,
            "created_at": session.created_at,
            "seen_at": session.seen_at,
            "expires_at": session.expires_at,
            "address": session.address,
            "agent": session.agent,
        },
    )


def find_session(connection: Connection, digest: str, now: datetime) -> tuple[Session, User] | None:
    """A session that still holds and its user; None if it is unknown, over, or its user is shut out."""
    query = select(sessions).where(sessions.c.digest == digest, sessions.c.expires_at > now)
    row = connection.execute(query).one_or_none()
    user = None if row is None else get_user(connection, row.user_id)
    if row is None or user is None or user.disabled:
        return None
    return Session(**row._mapping), user


def touch_session(connection: Connection, digest: str, seen_at: datetime, expires_at: datetime) -> bool:
    """Note that a session was used and how long it holds now; False if it is gone."""
    query = update(sessions).where(sessions.c.digest == digest).values(seen_at=seen_at, expires_at=expires_at)
    return connection.execute(query).rowcount > 0


def end_session(connection: Connection, digest: str) -> bool:
    """Sign out; False if it was over already."""
    return connection.execute(delete(sessions).where(sessions.c.digest == digest)).rowcount > 0


def end_sessions(connection: Connection, user_id: str) -> int:
    """Sign a user out everywhere; answers of how many sessions."""
    return connection.execute(delete(sessions).where(sessions.c.user_id == user_id)).rowcount


def add_link(connection: Connection, link: SignInLink) -> None:
    connection.execute(
        sign_in_links.insert(),
        {
            "digest": link.digest,
            "purpose": link.purpose,
            "user_name": link.user_name,
            "expires_at": link.expires_at,
            "used_at": None,
        },
    )


def find_link(connection: Connection, digest: str, now: datetime) -> SignInLink | None:
    """A link that would still work, without using it up."""
    query = select(sign_in_links).where(
        sign_in_links.c.digest == digest, sign_in_links.c.used_at.is_(None), sign_in_links.c.expires_at > now
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return SignInLink(digest=row.digest, purpose=row.purpose, user_name=row.user_name, expires_at=row.expires_at)


def use_link(connection: Connection, digest: str, now: datetime) -> SignInLink | None:
    """Use a link up; None if it is unknown, too old, or somebody was first."""
    link = find_link(connection, digest, now)
    query = update(sign_in_links).where(
        sign_in_links.c.digest == digest, sign_in_links.c.used_at.is_(None), sign_in_links.c.expires_at > now
    )
    return link if connection.execute(query.values(used_at=now)).rowcount == 1 else None


def trim_accounts(connection: Connection, now: datetime) -> int:
    """Remove sessions and links that are over; answers how many."""
    gone = connection.execute(delete(sessions).where(sessions.c.expires_at <= now)).rowcount
    return gone + connection.execute(delete(sign_in_links).where(sign_in_links.c.expires_at <= now)).rowcount


def _drop_links(connection: Connection, user_id: str) -> None:
    """Links that were made for a user and not used; a used one stays, so that nobody uses it again."""
    named = select(users.c.name).where(users.c.id == user_id).scalar_subquery()
    unused = sign_in_links.c.used_at.is_(None)
    connection.execute(delete(sign_in_links).where(sign_in_links.c.user_name == named, unused))


def _users() -> Select[tuple[str, str, str, datetime, str | None, bool]]:
    return select(users.c.id, users.c.name, users.c.role, users.c.created_at, users.c.password_hash, users.c.disabled)


def _user(row: Row[tuple[str, str, str, datetime, str | None, bool]]) -> User:
    return User(**row._mapping)
