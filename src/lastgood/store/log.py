"""The fact log: everything learned since the last checkpoint, in one order, with the marks of who told it.

``service/ingest.py`` appends here before anything is learned or acknowledged. The one rule: facts, mark and history
rows of an append are one transaction, so a resend is recognised exactly when the first telling was kept. Bodies are
``store/codec.py``'s JSON with the version of ``model/fact.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, select

from lastgood.model.fact import FACTS, VERSION, Fact
from lastgood.store.codec import decoder, encode
from lastgood.store.records import get_meta
from lastgood.store.schema import fact_log, in_some, marks, quarantine, storable, upsert
from lastgood.store.telling import Told, forget

FOLDED_UPTO = "folded_upto"
_KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in FACTS}


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a stream was told: ``agent:<host>:<spool>`` with a report's sequence, ``request:<id>`` with 1.

    With ``after`` it is kept only if the stream was told up to there: when several are under way and one is not kept,
    a later one must not be kept either, for its mark would hide the other for ever.
    """

    stream: str
    position: int
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """Facts, at least one, kept together or not at all. ``log`` is what the tool wrote, for a run that finished."""

    facts: tuple[Fact, ...]
    mark: Mark | None = None
    log: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """An append that was new: its facts with their places in the log."""

    facts: tuple[tuple[int, Fact], ...]


class Skipped(Enum):
    """Why an append was not kept."""

    SEEN = "seen"
    OUT_OF_TURN = "out of turn"
    SET_ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row of the log that this program cannot read."""

    kind: str
    body: str
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A fact that could not be taken, and why; ``seq`` is its place in the log."""

    seq: int
    told: Fact | Unreadable
    reason: str

    @classmethod
    def by(cls, error: Exception, seq: int, told: Fact) -> Quarantined:
        """A fact whose learning raised."""
        return cls(seq, told, f"{type(error).__name__}: {error}")


def append(connection: Connection, appends: Sequence[Append]) -> list[Committed | Skipped]:
    """Keep the appends in order, but for those seen before or out of turn.

    One that cannot be encoded goes to quarantine and its mark moves on: told again it would be no better.
    """
    positions = _positions(connection, {a.mark.stream for a in appends if a.mark is not None})
    moved: dict[str, dict[str, Any]] = {}
    seq = last_seq(connection)
    answers: list[Committed | Skipped] = []
    rows: list[dict[str, Any]] = []
    told = Told()
    for one in appends:
        mark = one.mark
        if mark is not None:
            told_upto = positions.get(mark.stream, 0)
            if mark.position <= told_upto or (mark.after is not None and mark.after > told_upto):
                answers.append(Skipped.SEEN if mark.position <= told_upto else Skipped.OUT_OF_TURN)
                continue
            positions[mark.stream] = mark.position
            moved[mark.stream] = {"stream": mark.stream, "position": mark.position, "moved_at": one.facts[-1].at}
        try:
            bodies = [encode(fact) for fact in one.facts]
        except (TypeError, ValueError, OverflowError) as error:
            _set_aside(connection, one.facts, str(error))
            answers.append(Skipped.SET_ASIDE)
            continue
        numbered = tuple(enumerate(one.facts, seq + 1))
        seq += len(numbered)
        for (number, fact), body in zip(numbered, bodies, strict=True):
            rows.append(_row(number, fact, body))
            told.add(number, fact, one.log)
        answers.append(Committed(numbered))
    if rows:
        connection.execute(fact_log.insert(), rows)
    upsert(connection, marks, list(moved.values()))
    told.save(connection)
    return answers


def marks_of(connection: Connection, stream: str) -> int:
    """How far this stream is committed, 0 if it was never heard of."""
    return _positions(connection, {stream}).get(stream, 0)


def mark_among(connection: Connection, stream: str, kin: str) -> tuple[int, int]:
    """How far this stream is committed; if not at all, how many others there are whose names begin with ``kin``."""
    committed = marks_of(connection, stream)
    if committed:
        return committed, 0
    # The next letter after the kin's last bounds them, so that the key serves: a host has few, the table has many.
    query = select(func.count()).where(marks.c.stream >= kin, marks.c.stream < kin[:-1] + chr(ord(kin[-1]) + 1))
    return 0, connection.execute(query).scalar_one()


def tail(connection: Connection, after: int, limit: int = 1_000) -> list[tuple[int, Fact | Unreadable]]:
    """The next facts of the log behind ``after``, in order; at most ``limit``."""
    columns = (fact_log.c.seq, fact_log.c.kind, fact_log.c.version, fact_log.c.body)
    query = select(*columns).where(fact_log.c.seq > after).order_by(fact_log.c.seq).limit(limit)
    return [(seq, read_fact(kind, version, body)) for seq, kind, version, body in connection.execute(query)]


def read_fact(kind: str, version: int, body: str) -> Fact | Unreadable:
    """The fact that a row of the log states, whichever version of this program wrote it."""
    known = _KINDS.get(kind)
    if known is None:
        return Unreadable(kind, body, f"This version knows no fact called {kind}.")
    if not 1 <= version <= VERSION:
        return Unreadable(kind, body, f"This version cannot read version {version} of {kind}.")
    try:
        return decoder(known)(body)
    except msgspec.DecodeError as error:
        return Unreadable(kind, body, f"Its text cannot be read: {error}")


def trim(connection: Connection, upto: int) -> None:
    """Remove the facts that a checkpoint has folded."""
    connection.execute(delete(fact_log).where(fact_log.c.seq <= upto))


def save_quarantine(connection: Connection, cases: Sequence[Quarantined]) -> None:
    """Keep the facts of the log that could not be taken; what their telling wrote into the history goes again."""
    known = _already_quarantined(connection, [case.seq for case in cases])
    number = _last_quarantined(connection)
    for case in cases:
        if case.seq in known:
            continue
        number += 1
        connection.execute(quarantine.insert(), {"id": number, "seq": case.seq, **_quarantine_row(connection, case)})
        if not isinstance(case.told, Unreadable):
            forget(connection, case.seq, case.told)


def count_quarantined(connection: Connection) -> int:
    """How many facts lie in quarantine."""
    return connection.execute(select(func.count()).select_from(quarantine)).scalar_one()


def _set_aside(connection: Connection, facts: Sequence[Fact], reason: str) -> None:
    """Keep facts that cannot even be logged, as text for a person to look at."""
    for number, fact in enumerate(facts, _last_quarantined(connection) + 1):
        text = storable(repr(fact))
        row = {"id": number, "seq": None, "at": fact.at, "kind": type(fact).__name__, "body": text, "reason": reason}
        connection.execute(quarantine.insert(), row)


def _quarantine_row(connection: Connection, case: Quarantined) -> dict[str, Any]:
    told = case.told
    kind, body = (told.kind, told.body) if isinstance(told, Unreadable) else (type(told).__name__, encode(told))
    at = connection.execute(select(fact_log.c.at).where(fact_log.c.seq == case.seq)).scalar_one()
    return {"at": at, "kind": kind, "body": body, "reason": case.reason}


def _row(seq: int, fact: Fact, body: str) -> dict[str, Any]:
    kind = type(fact).__name__
    origin = storable(fact.origin)
    return {"seq": seq, "at": fact.at, "kind": kind, "version": VERSION, "origin": origin, "body": body}


def _positions(connection: Connection, streams: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in in_some(list(streams)):
        query = select(marks.c.stream, marks.c.position).where(marks.c.stream.in_(some))
        found.update((stream, position) for stream, position in connection.execute(query))
    return found


def last_seq(connection: Connection) -> int:
    """The highest place ever given out: the log may be trimmed to nothing, so what was folded counts too."""
    newest = connection.execute(select(func.max(fact_log.c.seq))).scalar_one()
    return max(newest or 0, int(get_meta(connection, FOLDED_UPTO) or 0))


def _last_quarantined(connection: Connection) -> int:
    return connection.execute(select(func.max(quarantine.c.id))).scalar_one() or 0


def _already_quarantined(connection: Connection, seqs: Sequence[int]) -> set[int]:
    if not seqs:
        return set()
    query = select(quarantine.c.seq).where(quarantine.c.seq.between(min(seqs), max(seqs)))
    return {seq for (seq,) in connection.execute(query)}
