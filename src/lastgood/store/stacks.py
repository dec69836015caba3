"""Texts of stacks by number, sealed, and the deploys of each stack, newest first.

A wish writes a text and a deploy that was asked for; facts of its beginning and end are written in the transaction
that keeps them (``DeployFacts``). The one rule: a text leaves here sealed as it came; a deploy's row belongs to the
host that was asked, and its first end stays, but for one that was only presumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from lastgood.model.fact import DeployFinished, DeployStarted
from lastgood.model.job import Outcome
from lastgood.model.stack import Deploy, StackAction, StackKey
from lastgood.store.codec import decoder, encode
from lastgood.store.schema import deploys, insert, stack_texts, storable

MOST_TEXTS = 50
PAGE = 100
_LARGEST_NUMBER = 2**31 - 1
"""No database counts further in such a column."""
_PRESUMED = (str(Outcome.LOST), str(Outcome.CANCELLED))
Cursor = tuple[datetime, str]

DeployFact = DeployStarted | DeployFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class StackText:
    number: int
    at: datetime
    by: str
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDeploy:
    """A deploy as the history has it; ``by`` is unknown of one that only its agent remembers, ``deploy`` is None
    while no end is known. ``outcome`` may be the hub's own word for one that no agent heard of."""

    id: str
    host_id: str
    project: str
    action: StackAction
    text_number: int | None
    by: str | None
    asked_at: datetime
    started_at: datetime | None
    outcome: Outcome | None
    deploy: Deploy | None


def add_text(
    connection: Connection, key: StackKey, *, at: datetime, by: str, seal: Callable[[int], bytes], same: int | None
) -> int:
    """Keep a text under the next number, or answer ``same`` if that is still there; the oldest make room."""
    mine = _of(key)
    newest = connection.execute(select(func.max(stack_texts.c.number)).where(mine)).scalar_one() or 0
    if same is not None and same == newest:
        return same
    number: int = newest + 1
    row = {"host_id": key[0], "project": key[1], "number": number, "at": at, "by": storable(by)}
    connection.execute(stack_texts.insert(), [{**row, "sealed": seal(number)}])
    connection.execute(delete(stack_texts).where(mine, stack_texts.c.number <= number - MOST_TEXTS))
    return number


def find_text(connection: Connection, key: StackKey, number: int | None = None) -> StackText | None:
    """The text of this number, or the newest."""
    if number is not None and number > _LARGEST_NUMBER:
        return None
    query = select(stack_texts).where(_of(key)).order_by(stack_texts.c.number.desc()).limit(1)
    if number is not None:
        query = query.where(stack_texts.c.number == number)
    row = connection.execute(query).one_or_none()
    return None if row is None else StackText(number=row.number, at=row.at, by=row.by, sealed=row.sealed)


def list_texts(connection: Connection, key: StackKey) -> list[tuple[int, datetime, str]]:
    """(number, when, who) of the texts that are kept, newest first."""
    query = select(stack_texts.c.number, stack_texts.c.at, stack_texts.c.by).where(_of(key))
    return [(number, at, by) for number, at, by in connection.execute(query.order_by(stack_texts.c.number.desc()))]


def list_projects(connection: Connection, host_id: str) -> list[str]:
    """The projects of which a text or a deploy is kept."""
    texts = select(stack_texts.c.project).where(stack_texts.c.host_id == host_id)
    asked = select(deploys.c.project).where(deploys.c.host_id == host_id)
    return sorted(project for (project,) in connection.execute(texts.union(asked)))


def every_project(connection: Connection) -> dict[str, list[str]]:
    """Host id -> the projects of which a text or a deploy is kept there."""
    texts = select(stack_texts.c.host_id, stack_texts.c.project)
    asked = select(deploys.c.host_id, deploys.c.project)
    found: dict[str, list[str]] = {}
    for host_id, project in connection.execute(texts.union(asked)):
        found.setdefault(host_id, []).append(project)
    return found


def add_asked(
    connection: Connection,
    deploy_id: str,
    key: StackKey,
    action: StackAction,
    *,
    at: datetime,
    by: str,
    text_number: int | None,
) -> None:
    """Somebody asked for this; its agent has not heard of it yet."""
    row = {"id": deploy_id, "host_id": key[0], "project": key[1], "action": str(action), "by": storable(by)}
    connection.execute(deploys.insert(), [{**row, "asked_at": at, "text_number": text_number}])


def take_back(connection: Connection, deploy_id: str) -> None:
    """It could not be sent, so it was never asked."""
    connection.execute(delete(deploys).where(deploys.c.id == deploy_id, deploys.c.seq.is_(None)))


def end_unheard(connection: Connection, deploy_ids: list[str], at: datetime, reason: str) -> None:
    """Their agents never heard of them."""
    unheard = and_(deploys.c.id.in_(deploy_ids), deploys.c.seq.is_(None))
    connection.execute(
        update(deploys).where(unheard).values(outcome=str(Outcome.CANCELLED), ended_at=at, log=storable(reason))
    )


def end_unheard_before(connection: Connection, moment: datetime, at: datetime, reason: str) -> None:
    """As above for all that were asked for before ``moment``, for instance by a hub that was ended then."""
    unheard = and_(deploys.c.asked_at < moment, deploys.c.seq.is_(None), deploys.c.ended_at.is_(None))
    connection.execute(
        update(deploys).where(unheard).values(outcome=str(Outcome.CANCELLED), ended_at=at, log=storable(reason))
    )


def find_deploy(connection: Connection, deploy_id: str) -> tuple[PastDeploy, str] | None:
    """One deploy and what compose wrote."""
    row = connection.execute(select(deploys).where(deploys.c.id == storable(deploy_id))).one_or_none()
    return None if row is None else (_past(row), row.log or "")


def list_deploys(
    connection: Connection, key: StackKey, *, after: Cursor | None = None, limit: int = PAGE
) -> tuple[list[PastDeploy], Cursor | None]:
    """The deploys of a stack, newest first, and where the next page begins."""
    columns = [column for column in deploys.columns if column.name != "log"]
    query = select(*columns).where(deploys.c.host_id == key[0], deploys.c.project == key[1])
    if after is not None:
        asked_at, deploy_id = after
        query = query.where(
            deploys.c.asked_at <= asked_at, or_(deploys.c.asked_at < asked_at, deploys.c.id < deploy_id)
        )
    query = query.order_by(deploys.c.asked_at.desc(), deploys.c.id.desc()).limit(limit + 1)
    found = [_past(row) for row in connection.execute(query)]
    return found[:limit], (found[limit - 1].asked_at, found[limit - 1].id) if len(found) > limit else None


def forget_stack(connection: Connection, key: StackKey) -> None:
    """All texts and deploys of a stack."""
    connection.execute(delete(stack_texts).where(_of(key)))
    connection.execute(delete(deploys).where(deploys.c.host_id == key[0], deploys.c.project == key[1]))


def stack_hosts(connection: Connection) -> set[str]:
    """The hosts of which a text is kept."""
    return {host_id for (host_id,) in connection.execute(select(stack_texts.c.host_id).distinct())}


def forget_texts_of_host(connection: Connection, host_id: str) -> None:
    """The host is no more; what was deployed there is told as long as other history is."""
    connection.execute(delete(stack_texts).where(stack_texts.c.host_id == host_id))


def trim_stacks(connection: Connection, before: datetime, limit: int = 1_000) -> int:
    """Remove deploys that are too old, and texts too, but for each stack's newest; answers how many went."""
    old = select(deploys.c.id).where(deploys.c.asked_at < before).limit(limit)
    gone = connection.execute(delete(deploys).where(deploys.c.id.in_(old))).rowcount
    twin = stack_texts.alias()
    newer = select(twin.c.number).where(
        twin.c.host_id == stack_texts.c.host_id,
        twin.c.project == stack_texts.c.project,
        twin.c.number > stack_texts.c.number,
    )
    connection.execute(delete(stack_texts).where(stack_texts.c.at < before, newer.exists()))
    return gone


class DeployFacts:
    """What the facts of one batch say about deploys, saved with them."""

    def __init__(self) -> None:
        self._rows: list[tuple[dict[str, Any], bool]] = []

    def add(self, seq: int, fact: DeployFact, log: str) -> None:
        told = fact.deploy
        row: dict[str, Any] = {
            "id": storable(told.id),
            "seq": seq,
            "host_id": storable(told.host_id),
            "project": storable(told.project),
            "action": str(told.action),
            "text_number": told.text_number,
            "asked_at": told.started_at,
            "started_at": told.started_at,
        }
        if isinstance(told, Deploy):
            row |= {"ended_at": told.ended_at, "outcome": str(told.outcome), "body": encode(told)}
            row |= {"log": storable(log)}
        self._rows.append((row, isinstance(told, Deploy)))

    def save(self, connection: Connection) -> None:
        """In the order in which they were told. Who asked, and when, stays as it is known here."""
        for row, ended in self._rows:
            statement = insert(connection, deploys).values(row)
            changed = {name: statement.excluded[name] for name in row if name not in ("id", "host_id", "asked_at")}
            presumed = or_(*(deploys.c.outcome == word for word in _PRESUMED))
            open_yet = or_(deploys.c.ended_at.is_(None), presumed) if ended else deploys.c.ended_at.is_(None)
            its_own = and_(deploys.c.host_id == statement.excluded.host_id, open_yet)
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed, where=its_own))


def forget_deploy(connection: Connection, seq: int, fact: DeployFact) -> None:
    """Take back the row of a fact that was logged and then could not be learned."""
    mine = and_(deploys.c.id == storable(fact.deploy.id), deploys.c.seq == seq)
    connection.execute(delete(deploys).where(mine))


def _of(key: StackKey) -> Any:
    return and_(stack_texts.c.host_id == key[0], stack_texts.c.project == key[1])


def _past(row: Any) -> PastDeploy:
    return PastDeploy(
        id=row.id,
        host_id=row.host_id,
        project=row.project,
        action=StackAction(row.action),
        text_number=row.text_number,
        by=row.by,
        asked_at=row.asked_at,
        started_at=row.started_at,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        deploy=None if row.body is None else decoder(Deploy)(row.body),
    )
