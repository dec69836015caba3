"""Answers made into shapes, row by row and while they still come in.

Comes in: pieces of a body below ``/api2/json``. Goes out: one shape, or ``Rows``. The one rule: what is no answer
at all raises BadPayload, and one row that is wrong costs one row. A list is never held whole as text: rows are cut
off where ``},{`` and the first row's first key stand together, which cannot be within a string, as quotes are
escaped there. Outside format: the envelope ``{"data": X}``, with ``total`` beside a list of tasks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from lastgood.errors import BadPayload
from lastgood.tools.pbs.rows import Rows

_HEAD = re.compile(rb'\s*\{\s*"data"\s*:\s*\[\s*(?=\{\s*"([A-Za-z0-9_-]{1,100})"\s*:)')
_LONGEST_HEAD = 1024
_STEP = 256 * 1024
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a body that is not as it should be: bad bytes within a string and depth have their own."""

Shape = TypeVar("Shape")
T = TypeVar("T")


class _List(msgspec.Struct):
    data: list[msgspec.Raw]
    total: int | None = None


class _One(msgspec.Struct, Generic[T]):
    data: T


_list = msgspec.json.Decoder(_List)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class OneReader(Generic[T]):
    """Reads an answer that is one object. ``asked`` says whom and for what, for the message."""

    def __init__(self, shape: type[T], asked: str) -> None:
        self._decoder: msgspec.json.Decoder[_One[T]] = msgspec.json.Decoder(_One[shape])  # type: ignore[valid-type]
        self._asked = asked
        self._held = bytearray()

    def feed(self, piece: bytes) -> None:
        self._held += piece

    def end(self) -> T:
        """Raises BadPayload."""
        try:
            return self._decoder.decode(self._held).data
        except UNREADABLE as error:
            _refuse(self._asked, self._held, error)


class ListReader(Generic[Shape, T]):
    """Reads an answer that is a list, and gives what ``into`` makes of each row; ``key`` tells rows apart."""

    def __init__(
        self, shape: type[Shape], asked: str, *, into: Callable[[Shape], T], key: Callable[[Shape], Hashable]
    ) -> None:
        self._decoder = msgspec.json.Decoder(shape)
        self._asked = asked
        self._into = into
        self._key = key
        self._held = bytearray()
        self._between: bytes | None = None
        self._cut_at = _STEP
        self._seen: set[Hashable] = set()
        self._rows: list[T] = []
        self._unreadable = self._repeated = 0
        self._complaint: str | None = None

    def feed(self, piece: bytes) -> None:
        """Raises BadPayload."""
        held = self._held
        held += piece
        if len(held) == len(piece) and piece.startswith(b"<"):
            self.end()
        if self._between is None and not self._rows and len(held) - len(piece) < _LONGEST_HEAD:
            self._begin()
        if self._between is None or len(held) < self._cut_at:
            return
        cut = held.rfind(self._between)
        if cut < 0:
            self._cut_at = 2 * len(held)  # looking again at every piece would take squares of time
            return
        try:
            raws = _raws.decode(b"[" + held[: cut + 1] + b"]")
        except UNREADABLE as error:
            _refuse(self._asked, held, error)
        self._read(raws)
        del held[: cut + 2]
        self._cut_at = _STEP

    def end(self) -> Rows[T]:
        """Raises BadPayload."""
        rest = self._held if self._between is None else b'{"data":[' + self._held
        try:
            told = _list.decode(rest)
        except UNREADABLE as error:
            _refuse(self._asked, self._held, error)
        self._held = bytearray()
        self._read(told.data)
        return Rows(
            rows=tuple(self._rows),
            unreadable=self._unreadable,
            repeated=self._repeated,
            complaint=self._complaint,
            total=told.total,
        )

    def _begin(self) -> None:
        found = _HEAD.match(self._held)
        if found:
            self._between = b'},{"' + found[1] + b'"'
            del self._held[: found.end()]

    def _read(self, raws: list[msgspec.Raw]) -> None:
        for raw in raws:
            try:
                row = self._decoder.decode(raw)
            except UNREADABLE as error:
                self._unreadable += 1
                self._complaint = self._complaint or f"{self._asked}: a row cannot be read ({_words(error)})."
                continue
            key = self._key(row)
            if key in self._seen:
                self._repeated += 1
                continue
            self._seen.add(key)
            self._rows.append(self._into(row))


def _refuse(asked: str, body: bytes | bytearray, error: Exception) -> NoReturn:
    if body.lstrip()[:1] == b"<":
        raise BadPayload(
            f"{asked} was answered with a web page; see whether the endpoint is the server itself, "
            "https and port 8007, and no page of a proxy stands before it.",
            cause="html",
        ) from error
    raise BadPayload(
        f"{asked} was answered with what cannot be read ({_words(error)}).", cause="bad_payload"
    ) from error


def _words(error: Exception) -> str:
    """What msgspec says holds names and types, never a value; short all the same."""
    return "too deep" if isinstance(error, RecursionError) else str(error)[:200]


def any_row(row: Any) -> Any:
    """The row itself, where nothing else is to be made of it."""
    return row
