"""Machines on their way to become hosts: enrolment codes, and announcements that wait for somebody's word.

Codes come as keyed digests, so nothing here lets anybody in. The one rule: what may happen once (using a code,
deciding about an announcement) is one guarded statement; whoever used a code may ask again with the same key and
hears the same, so that an answer lost on its way costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, select, update

from lastgood.store.schema import enrol_codes, insert, pending_hosts, storable

WAITING, APPROVED, REJECTED = "waiting", "approved", "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolCode:
    """A code, used once it has ``used_at``. ``name`` is the name that its host will have; ``for_host`` an existing
    host whose agent is enrolled anew."""

    id: str
    digest: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    name: str | None = None
    for_host: str | None = None
    used_at: datetime | None = None
    key: str | None = None
    host_id: str | None = None
    host_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingHost:
    """A machine that announced itself. ``address`` is where it spoke from, the rest is what it says of itself."""

    id: str
    key: str
    name: str
    hostname: str
    address: str
    agent_version: str
    system: str
    announced_at: datetime
    expires_at: datetime
    state: str = WAITING
    host_id: str | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class Full:
    """No room for another announcement; ``of_address`` says that it is one address that has had its share."""

    of_address: bool


def add_code(connection: Connection, code: EnrolCode) -> None:
    connection.execute(
        enrol_codes.insert(),
        {
            "id": code.id,
            "digest": code.digest,
            "name": None if code.name is None else storable(code.name),
            "for_host": code.for_host,
            "created_by": code.created_by,
            "created_at": code.created_at,
            "expires_at": code.expires_at,
        },
    )


def find_code(connection: Connection, digest: str, now: datetime) -> EnrolCode | None:
    """A code whose time is not over, used or not."""
    query = select(enrol_codes).where(enrol_codes.c.digest == digest, enrol_codes.c.expires_at > now)
    row = connection.execute(query).one_or_none()
    return None if row is None else EnrolCode(**row._mapping)


def use_code(
    connection: Connection, digest: str, *, key: str, host_id: str, host_name: str, now: datetime
) -> EnrolCode | None:
    """Use a code up for this key and host; None if it is unknown, too old, or somebody with another key was first.

    Asked again with the key that used it, it answers what was decided then.
    """
    query = update(enrol_codes).where(
        enrol_codes.c.digest == digest, enrol_codes.c.expires_at > now, enrol_codes.c.used_at.is_(None)
    )
    values = {"used_at": now, "key": key, "host_id": host_id, "host_name": storable(host_name)}
    connection.execute(query.values(values))
    code = find_code(connection, digest, now)
    return code if code is not None and code.key == key else None


def release_code(connection: Connection, code_id: str, host_id: str) -> bool:
    """Take a use back that made no host; False if the code is another's by now."""
    query = update(enrol_codes).where(enrol_codes.c.id == code_id, enrol_codes.c.host_id == host_id)
    return connection.execute(query.values(used_at=None, key=None, host_id=None, host_name=None)).rowcount > 0


def list_codes(connection: Connection, now: datetime, after: str | None, limit: int) -> list[EnrolCode]:
    """Codes whose time is not over, oldest first, past the id ``after``."""
    query = select(enrol_codes).where(enrol_codes.c.expires_at > now, enrol_codes.c.id > (after or ""))
    return [EnrolCode(**row._mapping) for row in connection.execute(query.order_by(enrol_codes.c.id).limit(limit))]


def count_codes(connection: Connection, now: datetime) -> int:
    """How many codes could still be used."""
    query = select(func.count()).where(enrol_codes.c.expires_at > now, enrol_codes.c.used_at.is_(None))
    return connection.execute(query).scalar_one()


def revoke_code(connection: Connection, code_id: str) -> bool:
    """Make an unused code worthless; False if there is none of this id, or it was used."""
    query = delete(enrol_codes).where(enrol_codes.c.id == code_id, enrol_codes.c.used_at.is_(None))
    return connection.execute(query).rowcount > 0


def announce(connection: Connection, host: PendingHost, *, most: int, most_of_address: int) -> PendingHost | Full:
    """Keep an announcement, or answer the one that this key made before. Old ones make room."""
    connection.execute(delete(pending_hosts).where(pending_hosts.c.expires_at <= host.announced_at))
    held = find_pending(connection, host.key, host.announced_at)
    if held is not None:
        return held
    counts = select(func.count(), func.count().filter(pending_hosts.c.address == host.address))
    total, of_address = connection.execute(counts.select_from(pending_hosts)).one()
    if of_address >= most_of_address:
        return Full(of_address=True)
    if total >= most:
        return Full(of_address=False)
    values = {
        "id": host.id,
        "key": host.key,
        "name": storable(host.name),
        "hostname": storable(host.hostname),
        "address": host.address,
        "agent_version": storable(host.agent_version),
        "system": storable(host.system),
        "announced_at": host.announced_at,
        "expires_at": host.expires_at,
        "state": WAITING,
    }
    connection.execute(insert(connection, pending_hosts).values(values).on_conflict_do_nothing())
    return host


def find_pending(connection: Connection, key: str, now: datetime) -> PendingHost | None:
    """The announcement of a key, decided or not, whose time is not over."""
    query = select(pending_hosts).where(pending_hosts.c.key == key, pending_hosts.c.expires_at > now)
    return _pending(connection.execute(query).one_or_none())


def get_pending(connection: Connection, pending_id: str, now: datetime) -> PendingHost | None:
    query = select(pending_hosts).where(pending_hosts.c.id == pending_id, pending_hosts.c.expires_at > now)
    return _pending(connection.execute(query).one_or_none())


def list_pending(connection: Connection, now: datetime, after: str | None, limit: int) -> list[PendingHost]:
    """Announcements that wait for a word, oldest first, past the id ``after``."""
    query = select(pending_hosts).where(
        pending_hosts.c.state == WAITING, pending_hosts.c.expires_at > now, pending_hosts.c.id > (after or "")
    )
    rows = connection.execute(query.order_by(pending_hosts.c.id).limit(limit))
    return [PendingHost(**row._mapping) for row in rows]


def count_pending(connection: Connection, now: datetime) -> int:
    query = select(func.count()).where(pending_hosts.c.state == WAITING, pending_hosts.c.expires_at > now)
    return connection.execute(query).scalar_one()


def decide(
    connection: Connection, pending_id: str, *, state: str, host_id: str | None, name: str, by: str, now: datetime
) -> bool:
    """Approve or reject; False if it is unknown, too old or decided already."""
    query = update(pending_hosts).where(
        pending_hosts.c.id == pending_id, pending_hosts.c.state == WAITING, pending_hosts.c.expires_at > now
    )
    values = {"state": state, "host_id": host_id, "name": storable(name), "decided_by": storable(by)}
    return connection.execute(query.values(values)).rowcount > 0


def undecide(connection: Connection, pending_id: str, host_id: str) -> bool:
    """Take an approval back that made no host."""
    query = update(pending_hosts).where(pending_hosts.c.id == pending_id, pending_hosts.c.host_id == host_id)
    return connection.execute(query.values(state=WAITING, host_id=None, decided_by=None)).rowcount > 0


def trim_enrolment(connection: Connection, now: datetime) -> int:
    """Remove codes and announcements that are over; answers how many."""
    gone = connection.execute(delete(enrol_codes).where(enrol_codes.c.expires_at <= now)).rowcount
    return gone + connection.execute(delete(pending_hosts).where(pending_hosts.c.expires_at <= now)).rowcount


def _pending(row: Row[tuple[object, ...]] | None) -> PendingHost | None:
    return None if row is None else PendingHost(**row._mapping)
